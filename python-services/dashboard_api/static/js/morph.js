/**
 * Making what is shown like what should be shown, touching only what differs: focus, selection and scroll positions
 * stay where they are, and nothing moves unless data moved.
 *
 * `data-key` tells children apart that may change places; below `data-keep` nothing is touched.
 */

/**
 * @param {Element} parent
 * @param {Node[]} wanted
 */
export function morph(parent, wanted) {
  const focused = document.activeElement;
  children(parent, wanted);
  if (focused instanceof HTMLElement && focused !== document.activeElement && focused.isConnected) {
    focused.focus({ preventScroll: true }); // it was moved
  }
}

/**
 * @param {Element} parent
 * @param {Node[]} wanted
 */
function children(parent, wanted) {
  /** @type {Map<string, Element>} */
  const keyed = new Map();
  for (const child of parent.children) {
    const key = child.getAttribute("data-key");
    if (key !== null) keyed.set(key, child);
  }
  let place = parent.firstChild;
  for (const node of wanted) {
    const key = keyOf(node);
    const found = key === null ? alike(place, node) : keyed.get(key);
    if (!found || found.nodeName !== node.nodeName) {
      parent.insertBefore(node, place);
      continue;
    }
    if (key !== null) keyed.delete(key);
    if (found === place) place = place.nextSibling;
    else parent.insertBefore(found, place);
    update(found, node);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

/**
 * The node at this place or after it that `node` can be made of, if there is one without a key.
 * @param {ChildNode | null} place
 * @param {Node} node
 */
function alike(place, node) {
  if (place && place.nodeName === node.nodeName && keyOf(place) === null) return place;
  return null;
}

/** @param {Node} node */
function keyOf(node) {
  return node instanceof Element ? node.getAttribute("data-key") : null;
}

/**
 * @param {Node} shown
 * @param {Node} wanted
 */
function update(shown, wanted) {
  if (shown.isEqualNode(wanted)) return; // the browser compares quicker than anything here
  if (!(shown instanceof Element) || !(wanted instanceof Element)) {
    if (shown.nodeValue !== wanted.nodeValue) shown.nodeValue = wanted.nodeValue;
    return;
  }
  for (const { name } of [...shown.attributes]) {
    const isPeoples = name === "open" && shown.nodeName === "DETAILS";
    if (!wanted.hasAttribute(name) && !isPeoples) shown.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
  if (!shown.hasAttribute("data-keep")) children(shown, [...wanted.childNodes]);
}
