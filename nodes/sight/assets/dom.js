// Elements from names and text. Nothing that comes from outside ever becomes markup: children are elements or text.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null));
  return element;
}

export const make = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);

export const draw = (name, attributes = {}, ...children) =>
  filled(document.createElementNS(SVG, name), attributes, children);

// Replaces what is in an element, and leaves the focus where it was: on the element of the same data-key.
export function put(id, ...children) {
  const element = document.getElementById(id);
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  element.replaceChildren(...children.flat().filter((child) => child !== null));
  if (focused !== undefined) {
    for (const one of element.querySelectorAll("[data-key]")) if (one.dataset.key === focused) one.focus();
  }
}

// heads: name, or [name, "n"] for numbers. rows: arrays of cells.
export function table(caption, heads, rows) {
  const kinds = heads.map((head) => (Array.isArray(head) ? head[1] : null));
  const names = heads.map((head) => (Array.isArray(head) ? head[0] : head));
  return make("table", {},
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, names.map((name, i) => make("th", { scope: "col", class: kinds[i] }, name)))),
    make("tbody", {}, rows.map((row) => make("tr", {}, row.map((cell, i) => make("td", { class: kinds[i] }, cell))))));
}
