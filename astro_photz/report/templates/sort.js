// Tables whose heads have data-sort are sorted by a click: numbers as numbers, the second time the other way round.
for (const head of document.querySelectorAll("th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    const place = [...head.parentNode.children].indexOf(head);
    const body = head.closest("table").tBodies[0];
    const value = (row) => row.children[place].textContent.trim();
    const number = (text) => {
      const found = text.match(/^(?:Δz = )?(−?[\d.]{1,15})(?:\s|$)/); // longer ones are identifiers
      return found ? parseFloat(found[1].replace("−", "-")) : NaN;
    };
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      const difference = number(x) - number(y);
      return isNaN(difference) ? x.localeCompare(y, undefined, { numeric: true }) : difference;
    };
    const rows = [...body.rows].sort((a, b) => (up ? compare(a, b) : compare(b, a)));
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...rows);
  });
}
