// A click on a galaxy shows its neighbours, which the page has for each of its galaxies. The address keeps the galaxy,
// so that the browser's own buttons go back and forth.
const data = JSON.parse(document.getElementById("data").textContent);
const part = (name) => document.getElementById(name);
const cards = data.near.map((_, place) => part("galaxy-" + place));
const own = cards.map((card) => card.querySelector(".distance").textContent);
const ranges = [...document.querySelectorAll(".range")];
const stops = ["440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725"].map((text) =>
  [0, 2, 4].map((start) => parseInt(text.slice(start, start + 2), 16)),
);
let limit = data.shown;

// ---- what is shown

const chosen = () => {
  const place = parseInt(location.hash.replace("#like-", ""), 10);
  if (location.hash.startsWith("#like-") && cards[place]) return place;
  return data.begin.length === 1 && !data.listed ? data.begin[0] : null;
};

const passes = (place) => {
  if (part("unflagged").checked && data.flagged[place]) return false;
  return ranges.every((range) => {
    const [low, high] = [...range.querySelectorAll("input")].map((one) => (one.value === "" ? NaN : Number(one.value)));
    if (isNaN(low) && isNaN(high)) return true;
    const value = data[range.dataset.column][place];
    return value !== null && !(value < low) && !(value > high);
  });
};

const counted = (n) => n + (n === 1 ? " galaxy" : " galaxies");

const show = () => {
  const place = chosen();
  part("store").append(...cards);
  cards.forEach((card, one) => (card.querySelector(".distance").textContent = own[one]));
  const all = place === null ? data.begin.map((one) => [one, null]) : data.near[place];
  const kept = all.filter(([one]) => one !== place && passes(one));
  const first = kept.slice(0, place === null ? kept.length : limit);
  if (place !== null) part("chosen").append(cards[place]);
  for (const [one, distance] of first) {
    if (distance !== null) cards[one].querySelector(".distance").textContent = "distance " + distance;
    part("found").append(cards[one]);
  }
  const left = all.length - kept.length;
  const words = counted(first.length) + (place === null ? "" : " most similar to it, the nearest first");
  const advice = place === null ? " Click one to see those most similar to it." : "";
  part("told").textContent = words + (left > 0 ? "; the filters leave out " + left : "") + "." + advice;
  part("heading").textContent = place === null ? (data.listed ? "Found" : "Queries") : "Similar galaxies";
  part("more").disabled = first.length === kept.length;
  part("back").disabled = place === null || (data.begin.length === 1 && !data.listed && place === data.begin[0]);
  const near = new Set(first.map(([one]) => one));
  cards.forEach((_, one) => {
    const point = part("point-" + one);
    if (!point) return;
    point.classList.toggle("on", one === place);
    point.classList.toggle("near", near.has(one));
  });
};

const choose = (place) => {
  limit = data.shown;
  location.hash = place === null ? "#see" : "#like-" + place;
};

// ---- the map

const shade = (share) => {
  const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2);
  const mixed = stops[low].map((value, band) => Math.round(value + (at - low) * (stops[low + 1][band] - value)));
  return "rgb(" + mixed.join(",") + ")";
};

const colour = () => {
  const values = data.columns[part("colour").value];
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  const low = known[Math.floor(0.02 * (known.length - 1))];
  const high = known[Math.ceil(0.98 * (known.length - 1))];
  values.forEach((value, place) => {
    const point = part("point-" + place);
    if (!point) return;
    point.classList.toggle("unknown", value === null);
    point.style.fill = value === null ? "" : shade(high > low ? (value - low) / (high - low) : 0.5);
  });
  part("low").textContent = String(Number(low.toPrecision(4)));
  part("high").textContent = String(Number(high.toPrecision(4)));
};

// ---- begin

part("tools").hidden = false;
part("store").hidden = true;
part("store").style.display = "none";
cards.forEach((card, place) => {
  card.querySelector(".pick").addEventListener("click", () => choose(place));
  const point = part("point-" + place);
  if (point) {
    point.addEventListener("click", () => {
      choose(place);
      part("see").scrollIntoView();
    });
  }
});
for (const input of document.querySelectorAll(".filters input")) input.addEventListener("input", show);
for (const range of ranges) range.hidden = data[range.dataset.column].every((value) => value === null);
part("unflagged").parentNode.hidden = !data.flagged.some(Boolean);
part("clear").hidden = ranges.every((range) => range.hidden) && part("unflagged").parentNode.hidden;
part("clear").addEventListener("click", () => {
  for (const input of document.querySelectorAll(".filters input")) {
    input.value = "";
    input.checked = false;
  }
  show();
});
part("more").addEventListener("click", () => {
  limit += data.shown;
  show();
});
part("back").addEventListener("click", () => choose(null));
if (part("colour") && data.colour !== null) {
  part("colours").hidden = false;
  for (const name of Object.keys(data.columns)) part("colour").append(new Option(name, name));
  part("colour").value = data.colour;
  part("colour").addEventListener("change", colour);
  colour();
}
window.addEventListener("hashchange", () => {
  show();
  if (location.hash.startsWith("#like-")) {
    part("heading").focus({ preventScroll: true });
    part("see").scrollIntoView();
  }
});
show();
