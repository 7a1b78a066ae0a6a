/* Chains: what rests on what, and their drawing. */
"use strict";

(() => {
  const { s, to } = Audit;

  /* Places of the jobs behind `starts` (places of jobs), themselves included, readers before their makers. */
  function upstream(jobs, starts) {
    const found = new Set();
    const queue = [...starts];
    while (queue.length) {
      const place = queue.pop();
      if (place < 0 || found.has(place)) continue;
      found.add(place);
      for (const [, maker] of jobs[place].inputs) queue.push(maker);
    }
    return [...found].sort((a, b) => b - a);
  }

  /* Places of the jobs that rest on the job at `place`, itself left out. */
  function downstream(jobs, place) {
    const found = new Set([place]);
    jobs.forEach((job, other) => {
      if (job.inputs.some(([, maker]) => found.has(maker))) found.add(other);
    });
    found.delete(place);
    return [...found];
  }

  const folder = (path) => path.slice(0, path.lastIndexOf("/"));
  const isRaw = (core, path) => (core.rawPaths ??= new Set(core.raw.map((f) => core.files[f][0]))).has(path);

  /* A way is what a chain is made of: heads (the job of an exhibit), joins (jobs that only collect rows), starts (jobs that
     estimated). Behind heads and joins only what the thing asked for rests on is followed. */
  const wayOf = (starts, joins = [], heads = []) => ({ starts, joins, heads });

  function jobsOf(core, way) {
    const behind = upstream(core.jobs, way.starts);
    const before = [...way.heads, ...way.joins].filter((i) => !behind.includes(i));
    return [...new Set([...before, ...behind])];
  }

  /* Nodes and edges of a chain: the thing asked for, jobs, raw files by folder, other sources. */
  function nodes(core, way, top) {
    const { jobs, files } = core;
    const behind = new Set(upstream(jobs, way.starts));
    const made = new Map();
    const edges = new Set();
    const node = (key, content) => (made.has(key) || made.set(key, { key, ...content }), key);
    const edge = (from, target) => edges.add(`${from}\n${target}`);
    const first = node("top", { kind: "top", label: top.label, small: top.small, target: null });
    const reads = (i, k) => jobs[i].inputs.some(([, maker]) => maker === k);
    for (const head of way.heads) edge(first, node(`j${head}`, {}));
    for (const join of way.joins)
      for (const above of way.heads.length ? way.heads.map((i) => `j${i}`) : [first]) edge(above, node(`j${join}`, {}));
    for (const start of way.starts) {
      const over = way.joins.filter((i) => i !== start && reads(i, start));
      if (over.length) for (const join of over) edge(`j${join}`, node(`j${start}`, {}));
      else if (way.heads.length && !way.heads.includes(start)) for (const head of way.heads) edge(`j${head}`, node(`j${start}`, {}));
      else if (!way.heads.includes(start)) edge(first, node(`j${start}`, {}));
    }
    for (const place of jobsOf(core, way)) {
      const job = jobs[place];
      Object.assign(made.get(node(`j${place}`, {})), {
        kind: "job", label: job.rule, small: job.title.slice(job.rule.length).trim(), target: `job:${job.record}`,
      });
      if (!behind.has(place)) continue;
      for (const [file, maker] of job.inputs) {
        const path = files[file][0];
        if (isRaw(core, path)) {
          const raw = node(`d${folder(path)}`, {
            kind: "raw", label: folder(path).split("/").slice(-2).join("/"), files: new Set(),
            target: `folder:${folder(path)}`,
          });
          made.get(raw).files.add(path);
          edge(`j${place}`, raw);
          if (maker >= 0) edge(raw, node(`j${maker}`, {}));
        } else if (maker >= 0) edge(`j${place}`, node(`j${maker}`, {}));
        else {
          const source = node(`s${place}`, { kind: "source", label: "sources", files: new Set(), target: null });
          made.get(source).files.add(path);
          made.get(source).target = `file:${path}`;
          edge(`j${place}`, source);
        }
      }
    }
    for (const found of made.values())
      if (found.files) {
        found.small = found.files.size === 1 ? [...found.files][0].split("/").pop() : `${found.files.size} files`;
        if (found.kind === "source") found.target = found.files.size === 1 ? found.target : null;
      }
    return { nodes: made, edges: nearest([...edges].map((text) => text.split("\n"))) };
  }

  /* An edge that only repeats a longer way would hide what matters: the list has all inputs, the drawing the next steps. */
  function nearest(edges) {
    const after = new Map();
    for (const [from, target] of edges) (after.get(from) ?? after.set(from, []).get(from)).push(target);
    const reach = new Map();
    const behind = (key) => {
      if (!reach.has(key)) {
        reach.set(key, new Set());
        const all = new Set();
        for (const next of after.get(key) ?? []) for (const far of [next, ...behind(next)]) all.add(far);
        reach.set(key, all);
      }
      return reach.get(key);
    };
    return edges.filter(([from, target]) => !after.get(from).some((other) => other !== target && behind(other).has(target)));
  }

  /* Longest way from the top decides the line in which a node stands. */
  function levels({ nodes: made, edges }) {
    const level = new Map([...made.keys()].map((key) => [key, 0]));
    for (let changed = true, turns = 0; changed && turns < 60; turns += 1) {
      changed = false;
      for (const [from, target] of edges)
        if (level.get(target) <= level.get(from)) {
          level.set(target, level.get(from) + 1);
          changed = true;
        }
    }
    return level;
  }

  const cut = (text, letters) => (text.length > letters ? text.slice(0, letters - 1) + "\u2026" : text);

  function lines(label, letters) {
    const found = [""];
    for (const piece of label.split(/(?<=[_/.])/)) {
      const last = found.length - 1;
      if ((found[last] + piece).length <= letters || !found[last]) found[last] += piece;
      else found.push(piece);
    }
    return found.length > 2 ? [cut(found[0], letters), cut(found.slice(1).join(""), letters)] : found.map((line) => cut(line, letters));
  }

  /* The drawing; every node but the top leads to what it stands for. */
  function draw(core, way, top, name) {
    const width = 560, gap = 10, tall = 46, between = 30, most = 6;
    const graph = nodes(core, way, top);
    const level = levels(graph);
    const rows = [];
    for (const [key, line] of level) (rows[line] ??= []).push(graph.nodes.get(key));
    const place = new Map();
    let y = 6;
    for (const row of rows.filter(Boolean)) {
      row.sort((a, b) => (a.kind + a.label + a.small).localeCompare(b.kind + b.label + b.small));
      const each = Math.ceil(row.length / Math.ceil(row.length / most));
      for (let from = 0; from < row.length; from += each) {
        const part = row.slice(from, from + each);
        const wide = Math.min(part.length === 1 ? 300 : 210, (width - 12 - gap * (part.length - 1)) / part.length);
        let x = (width - wide * part.length - gap * (part.length - 1)) / 2;
        for (const node of part) {
          place.set(node.key, { x, y, wide });
          x += wide + gap;
        }
        y += tall + (from + each < row.length ? 8 : between);
      }
    }
    const height = y - between + 8;
    const drawing = s("svg", { viewBox: `0 0 ${width} ${height}`, class: "chain-graph", role: "group", "aria-label": name });
    for (const [from, target] of graph.edges) {
      const a = place.get(from), b = place.get(target);
      const x1 = a.x + a.wide / 2, y1 = a.y + tall, x2 = b.x + b.wide / 2, y2 = b.y;
      const bend = Math.max(14, (y2 - y1) / 2);
      drawing.append(s("path", { class: "edge", d: `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}` }));
    }
    for (const [key, { x, y: top_, wide }] of place) {
      const node = graph.nodes.get(key);
      const letters = Math.floor((wide - 10) / 6.3);
      const words = [...lines(node.label, letters)];
      const small = node.small && cut(String(node.small), Math.floor((wide - 10) / 5.7));
      const all = [...words, small].filter(Boolean);
      const step = all.length > 2 ? 13 : 15;
      const start = top_ + tall / 2 - ((all.length - 1) * step) / 2 + 4;
      const inside = [
        s("rect", { x, y: top_, width: wide, height: tall, rx: 5 }),
        ...all.map((text, i) => s("text", {
          x: x + wide / 2, y: start + i * step, "text-anchor": "middle", class: i >= words.length ? "small" : null,
        }, text)),
        s("title", null, [node.label, node.small].filter(Boolean).join(" ")),
      ];
      const label = [node.label, node.small].filter(Boolean).join(" ");
      drawing.append(node.target
        ? s("a", { href: to(node.target), class: `node ${node.kind}`, "aria-label": label }, inside)
        : s("g", { class: `node ${node.kind}` }, inside));
    }
    return drawing;
  }

  Object.assign(Audit, { upstream, downstream, draw, isRaw, wayOf, jobsOf });
})();
