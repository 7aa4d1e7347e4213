// The little that pages need of the DOM. Text is only ever set as text.

/** The element of that id, which the page's HTML has. */
export function byId<E extends Element = HTMLElement>(id: string): E {
  const found = document.getElementById(id) as E | null;
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

export function make<K extends keyof HTMLElementTagNameMap>(tag: K, className: string, text = ''): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** Sets an element's text, and touches nothing if it has it already: a selection and a reader's place stay. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

const SVG = 'http://www.w3.org/2000/svg';

/** A sign out of the page's own symbols. */
export function makeSign(className: string): { svg: SVGSVGElement; use: SVGUseElement } {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', className);
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  svg.append(use);
  return { svg, use };
}

export function setSign(use: SVGUseElement, name: string): void {
  const href = `#sign-${name}`;
  if (use.getAttribute('href') !== href) use.setAttribute('href', href);
}
