// Cards of tutorials carry the extras that they need; sphinx-gallery keeps them in an attribute.
document.addEventListener("DOMContentLoaded", () => {
    for (const card of document.querySelectorAll(".sphx-glr-thumbcontainer[data-sgtags]")) {
        const labels = document.createElement("div");
        labels.className = "tutorial-labels";
        for (const name of JSON.parse(card.dataset.sgtags)) {
            const label = document.createElement("span");
            label.textContent = name;
            labels.append(label);
        }
        card.append(labels);
    }
});
