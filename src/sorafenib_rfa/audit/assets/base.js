/* Elements, text and data. Nothing from the data ever becomes markup: text nodes and attributes only. */
"use strict";

const Audit = {};

(() => {
  /* Characters that would act instead of being seen: control characters, marks that turn the reading direction. */
  const ACTING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

  function textInto(parent, text) {
    let from = 0;
    for (const found of text.matchAll(ACTING)) {
      parent.append(text.slice(from, found.index));
      const shown = document.createElement("span");
      shown.className = "control";
      shown.textContent = "\\u" + found[0].charCodeAt(0).toString(16).padStart(4, "0");
      parent.append(shown);
      from = found.index + 1;
    }
    parent.append(from ? text.slice(from) : text);
  }

  function add(parent, children) {
    for (const child of children) {
      if (child === null || child === undefined || child === false) continue;
      if (Array.isArray(child)) add(parent, child);
      else if (child instanceof Node) parent.append(child);
      else textInto(parent, String(child));
    }
    return parent;
  }

  function attributes(element, given) {
    for (const [name, value] of Object.entries(given || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
      else element.setAttribute(name, value === true ? "" : String(value));
    }
    return element;
  }

  /* h("p", {class: "note"}, "text", h("b", null, "bold")) */
  const h = (tag, given, ...children) => add(attributes(document.createElement(tag), given), children);
  const s = (tag, given, ...children) =>
    add(attributes(document.createElementNS("http://www.w3.org/2000/svg", tag), given), children);

  /* --- data: parts come from scripts beside the page, since a page from disk may not fetch --------------------------- */

  const parts = {};

  function arrives(name) {
    return new Promise((resolve, reject) => {
      if (self.AUDIT && self.AUDIT[name] !== undefined) return resolve();
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      script.onload = () => resolve();
      script.onerror = () => reject(new Error(`data/${name}.js is missing from this folder`));
      document.head.append(script);
    });
  }

  /* The alphabet of Python's base64.b85encode. */
  const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

  function base85(text) {
    const value = new Uint8Array(128);
    [...LETTERS].forEach((letter, i) => (value[letter.charCodeAt(0)] = i));
    const missing = (5 - (text.length % 5)) % 5;
    const padded = text + "~".repeat(missing);
    const bytes = new Uint8Array((padded.length / 5) * 4);
    for (let i = 0, k = 0; i < padded.length; i += 5, k += 4) {
      let word = 0;
      for (let j = 0; j < 5; j += 1) word = word * 85 + value[padded.charCodeAt(i + j)];
      bytes[k] = word >>> 24;
      bytes[k + 1] = word >>> 16;
      bytes[k + 2] = word >>> 8;
      bytes[k + 3] = word;
    }
    return bytes.subarray(0, bytes.length - missing);
  }

  async function unpack(name) {
    if (!self.DecompressionStream) throw new Error("this browser is too old: it cannot unpack the data of this site");
    await arrives(name);
    const stream = new Blob([base85(self.AUDIT[name])]).stream().pipeThrough(new DecompressionStream("deflate"));
    self.AUDIT[name] = "";
    return JSON.parse(await new Response(stream).text());
  }

  const part = (name) => (parts[name] ??= unpack(name));

  /* A table that came by columns: rows by place. */
  class Table {
    constructor(packed) {
      this.n = packed.n;
      this.names = Object.keys(packed.columns);
      this.columns = packed.columns;
    }
    get(row, name) {
      const column = this.columns[name];
      if (column === undefined) return null;
      if (Array.isArray(column)) return column[row];
      return column.codes[row] < 0 ? null : column.levels[column.codes[row]];
    }
    row(row) {
      return Object.fromEntries(this.names.map((name) => [name, this.get(row, name)]));
    }
    *rows() {
      for (let row = 0; row < this.n; row += 1) yield this.row(row);
    }
  }

  /* --- words and numbers ------------------------------------------------------------------------------------------------ */

  const count = (n, one, many) => `${n.toLocaleString("en-GB")} ${n === 1 ? one : many ?? one + "s"}`;
  const short = (digest) => (digest ? digest.slice(0, 12) : "");

  function bytes(n) {
    if (n < 1000) return `${n} bytes`;
    return n < 1e6 ? `${(n / 1000).toFixed(1)} kB` : `${(n / 1e6).toFixed(1)} MB`;
  }

  /* Runs as pack.runs wrote them -> [[first, last], ...] */
  function intervals(runs) {
    const found = [];
    let end = 0;
    for (let i = 0; i < runs.length; i += 2) {
      const first = end + runs[i];
      end = first + runs[i + 1];
      found.push([first, end - 1]);
    }
    return found;
  }
  const numbers = (runs) =>
    intervals(runs).flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
  const ranges = (runs) =>
    intervals(runs).map(([first, last]) => (first === last ? `${first}` : `${first}\u2013${last}`)).join(", ");

  const to = (target) => "#" + encodeURIComponent(target).replace(/%3A/g, ":").replace(/%2F/g, "/").replace(/%2C/g, ",");
  const link = (target, ...children) => h("a", { href: to(target) }, ...children);

  /* Ids and paths may break after the marks within them, not within their words. */
  function code(...children) {
    const pieces = children.map((child) => (typeof child === "string"
      ? child.split(/(?<=[._/:-])(?=\w)/).flatMap((piece, i) => (i ? [document.createElement("wbr"), piece] : [piece])) : child));
    return h("code", null, pieces);
  }
  const mark = (text) => h("bdi", null, text);

  /* --- pieces of a page -------------------------------------------------------------------------------------------------- */

  function facts(pairs) {
    const list = h("dl", { class: "facts" });
    for (const [name, value] of pairs) {
      if (value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length)) continue;
      list.append(h("div", null, h("dt", null, name), h("dd", null, value)));
    }
    return list;
  }

  /* A table with a caption, in a frame that scrolls and can be reached by keyboard. */
  function grid(caption, heads, rows, options = {}) {
    const number = options.numeric || [];
    const body = h("tbody");
    for (const row of rows)
      body.append(h("tr", null, row.map((cell, i) => h(i === 0 && options.rowHead ? "th" : "td",
        { class: number.includes(i) ? "number" : null, scope: i === 0 && options.rowHead ? "row" : null }, cell))));
    const id = `grid-${(grid.made = (grid.made || 0) + 1)}`;
    return h("div", { class: "grid", tabindex: "0", role: "region", "aria-labelledby": id },
      h("table", null, h("caption", { id }, caption),
        h("thead", null, h("tr", null, heads.map((head, i) =>
          h("th", { scope: "col", class: number.includes(i) ? "number" : null }, head)))),
        body));
  }

  /* Details whose content is made when they are opened (or printed). */
  function fold(summary, make, open = false) {
    const inside = h("div", { class: "inside" });
    const details = h("details", { open }, h("summary", null, summary), inside);
    const fill = () => {
      if (!inside.childNodes.length) add(inside, [make()]);
    };
    details.addEventListener("toggle", () => details.open && fill());
    details.fill = fill;
    if (open) fill();
    return details;
  }

  /* A box above a table that hides the rows in which the words do not all occur. */
  function filter(label, table) {
    const rows = [...table.querySelectorAll("tbody tr")];
    const texts = [];
    const said = h("span", { class: "note", role: "status" }, count(rows.length, "row"));
    let waiting = 0;
    const act = (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
        let left = 0;
        rows.forEach((row, i) => {
          texts[i] ??= row.textContent.toLowerCase();
          row.hidden = !words.every((word) => texts[i].includes(word));
          left += !row.hidden;
        });
        said.textContent = `${left.toLocaleString("en-GB")} of ${count(rows.length, "row")}`;
      }, 120);
    };
    const id = `filter-${(filter.made = (filter.made || 0) + 1)}`;
    return h("p", { class: "filter" }, h("label", { for: id }, label),
      h("input", { id, type: "search", autocomplete: "off", spellcheck: "false", on: { input: act } }), said);
  }

  Object.assign(Audit, {
    h, s, add, part, Table, count, short, bytes, intervals, numbers, ranges, to, link, code, mark, facts, grid, fold, filter,
  });
})();
