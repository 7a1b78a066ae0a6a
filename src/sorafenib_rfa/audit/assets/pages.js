/* The pages beside the paper: each is made when it is first opened. */
"use strict";

(() => {
  const { h, s, part, Table, count, link, code, mark, grid, fold, filter, digest, note, jobLink, bytes, facts } = Audit;

  const paragraph = (...children) => h("p", { class: "lead" }, children);
  const sum = (rows, name) => rows.reduce((total, row) => total + row[name], 0);

  /* --- numbers ------------------------------------------------------------------------------------------------------------ */

  async function numbers() {
    const core = await part("core");
    const printed = Audit.everything();
    const used = printed.filter((one) => one.kind === "number");
    const sentences = printed.filter((one) => one.kind === "claim");
    const tables = await Audit.ard();
    const record = (target) => {
      const [cohort, id] = [target.split(":")[0], target.slice(target.indexOf(":") + 1)];
      const row = tables[cohort]?.at.get(id);
      return row === undefined ? undefined : Audit.place(core, tables[cohort].table.get(row, "record"));
    };
    const list = grid(`The ${count(used.length, "number")} of the paper, in the order of the page`, ["Printed", "Id", "Under", "In the sentence", "Job", "Code digest"],
      used.map(({ target, text, where, claim }) => {
        const i = record(target);
        return [link(target, text), code(target), where, claim && link(`claim:${claim}`, claim),
          i === undefined ? "" : jobLink(core, i), i === undefined ? "" : digest(core.jobs[i].digest)];
      }), { rowHead: true });
    const said = grid("Sentences that depend on results", ["Name", "As printed", "Under"],
      sentences.map(({ target, text, where }) => [link(target, target.slice(6)), text, where]), { rowHead: true });
    const all = Object.entries(tables).map(([cohort, { table }]) => fold(`All ${count(table.n, "result")} of ${cohort}, printed or not`, () => {
      const rows = grid(`Results of ${cohort}`, ["Id", "Value", "From", "To", "p", "Unit"], [...table.rows()].map((row) => [
        link(`${cohort}:${row.ard_id}`, row.ard_id), row.value ?? "not estimable", row.ci_low ?? "", row.ci_high ?? "", row.p_value ?? "", row.unit]),
      { rowHead: true, numeric: [1, 2, 3, 4] });
      return h("div", null, filter("Show ids with", rows), rows);
    }));
    return [paragraph("Every number that the paper prints, with the row of results it is bound to. None of them is typed."),
      filter("Show numbers with", list), list, h("h2", null, "Sentences"), said, h("h2", null, "All results"), all];
  }

  /* --- patients ------------------------------------------------------------------------------------------------------------ */

  const ALL = "All";

  function steps(attrition, site, arm) {
    const found = new Map();
    for (const row of attrition) {
      if ((site !== ALL && row.site !== site) || (arm !== ALL && row.arm !== arm)) continue;
      const one = found.get(row.step_no) ?? { ...row, n_before: 0, n_excluded: 0, n_after: 0 };
      for (const name of ["n_before", "n_excluded", "n_after"]) one[name] += row[name];
      found.set(row.step_no, one);
    }
    return [...found.values()].sort((a, b) => a.step_no - b.step_no);
  }

  function wrapped(text, letters) {
    const found = [""];
    for (const word of text.split(" ")) {
      const last = found.length - 1;
      if (!found[last] || (found[last] + " " + word).length <= letters) found[last] = (found[last] + " " + word).trim();
      else found.push(word);
    }
    return found;
  }

  /* The flow of patients as a drawing: the way down on the left, who leaves on the right. */
  function drawFlow(cohort, list, arms, title) {
    const width = 760, left = 20, wide = 300, right = 380, rightWide = 360, row = 52;
    const shown = list.filter((one) => one.n_excluded > 0);
    const drawing = s("svg", { class: "flow", role: "group", "aria-label": `${title}: the table beside it says the same` });
    const box = (x, y, w, tall, kind, lines) => {
      drawing.append(s("rect", { x, y, width: w, height: tall, rx: 5, class: kind }));
      lines.forEach(([text, style], i) => drawing.append(s("text", {
        x: x + w / 2, y: y + tall / 2 + (i - (lines.length - 1) / 2) * 17 + 5, "text-anchor": "middle", class: style }, text)));
    };
    const way = (d) => drawing.append(s("path", { class: "edge", d }));
    let y = 6;
    box(left, y, wide, 46, "kept", [["Patients in the exports", "strong"], [`n = ${list[0]?.n_before ?? 0}`, "n"]]);
    const middle = left + wide / 2;
    let from = y + 46;
    y += 62;
    for (const one of shown) {
      const words = wrapped(one.reason, 46);
      const tall = Math.max(36, 16 + 17 * (words.length + 1));
      way(`M${middle} ${from}V${y + tall / 2}`);
      way(`M${middle} ${y + tall / 2}H${right}`);
      drawing.append(s("text", { x: middle - 10, y: y + tall / 2 - 6, "text-anchor": "end", class: "small" }, `n = ${one.n_after}`));
      const node = s("a", { href: Audit.to(`step:${cohort}:${one.step_id}`), "aria-label": `${one.n_excluded} left: ${one.reason}` });
      node.append(s("rect", { x: right, y, width: rightWide, height: tall, rx: 5, class: "left" }));
      [...words.map((text) => [text, ""]), [`n = ${one.n_excluded}`, "n"]].forEach(([text, style], i, all) => node.append(s("text", {
        x: right + rightWide / 2, y: y + tall / 2 + (i - (all.length - 1) / 2) * 17 + 5, "text-anchor": "middle", class: style }, text)));
      drawing.append(node);
      from = y + tall / 2;
      y += tall + 10;
    }
    y += 8;
    way(`M${middle} ${from}V${y}`);
    box(left, y, wide, 46, "kept", [["Analysed", "strong"], [`n = ${list.at(-1)?.n_after ?? 0}`, "n"]]);
    if (arms.length > 1) {
      const each = Math.min(230, (width - 20 * (arms.length - 1) - 40) / arms.length);
      const below = y + 46 + 34;
      let x = left;
      for (const [name, n] of arms) {
        way(`M${middle} ${y + 46}V${y + 62}H${x + each / 2}V${below}`);
        box(x, below, each, 46, "kept", [[name, "strong"], [`n = ${n}`, "n"]]);
        x += each + 20;
      }
      y = below;
    }
    drawing.setAttribute("viewBox", `0 0 ${width} ${y + 54}`);
    drawing.setAttribute("style", `max-width: ${width}px`);
    return drawing;
  }

  function select(label, options, act) {
    const id = `select-${(select.made = (select.made || 0) + 1)}`;
    return h("span", null, h("label", { for: id }, label), h("select", { id, on: { change: act } }, options.map((one) => h("option", { value: one }, one))));
  }

  function flowOf(cohort, title, one) {
    const attrition = [...new Table(one.attrition).rows()];
    const sites = [...new Set(attrition.map((row) => row.site))].sort();
    const arms = [...new Set(attrition.map((row) => row.arm))].sort();
    const place = h("div", { class: "flow-place" });
    const chosen = { site: ALL, arm: ALL };
    const show = () => {
      const list = steps(attrition, chosen.site, chosen.arm);
      const last = attrition.filter((row) => row.step_no === attrition.at(-1).step_no && (chosen.site === ALL || row.site === chosen.site));
      const ends = chosen.arm === ALL ? arms.map((arm) => [arm, sum(last.filter((row) => row.arm === arm), "n_after")]).filter(([, n]) => n) : [];
      const what = [chosen.site === ALL ? "all centres" : `centre ${chosen.site}`, chosen.arm === ALL ? "all arms" : chosen.arm].join(", ");
      place.replaceChildren(h("figure", { class: "drawn" }, drawFlow(cohort, list, ends, `Flow of patients, ${what}`),
        h("figcaption", null, `Flow of patients, ${what}. Press a reason to see who left.`)),
      grid(`${title}: steps, ${what}`, ["Step", "Stage", "Before", "Left", "After"], list.map((row) => [
        row.n_excluded ? link(`step:${cohort}:${row.step_id}`, row.reason) : row.reason, row.stage, row.n_before, row.n_excluded, row.n_after]),
      { rowHead: true, numeric: [2, 3, 4] }));
    };
    show();
    const whole = steps(attrition, ALL, ALL);
    const cell = (no, name, value) => sum(attrition.filter((row) => row.step_no === no && row[name] === value), "n_excluded");
    const end = (name, value) => sum(attrition.filter((row) => row.step_no === attrition.at(-1).step_no && row[name] === value), "n_after");
    const matrix = grid(`${title}: who left at each step, by centre and by arm`, ["Step", "All", ...sites, ...arms],
      [...whole.map((row) => [row.reason, row.n_excluded, ...sites.map((site) => cell(row.step_no, "site", site)), ...arms.map((arm) => cell(row.step_no, "arm", arm))]),
        [h("strong", null, "Analysed"), whole.at(-1)?.n_after, ...sites.map((site) => end("site", site)), ...arms.map((arm) => end("arm", arm))]],
      { rowHead: true, numeric: Array.from({ length: 1 + sites.length + arms.length }, (_, i) => i + 1) });
    const gone = Audit.fateTable([...new Table(one.fates).rows()], `${title}: patients who are not analysed, with the reason`);
    const entries = [...new Table(one.quarantine).rows()];
    const [odd, lost] = [entries.filter(Audit.flagged), entries.filter((row) => !Audit.flagged(row))];
    const set = Audit.quarantineTable(lost, `${title}: cells and rows set aside, with the reason`);
    const flags = Audit.quarantineTable(odd, `${title}: records that are odd and stay as they are, with the reason`);
    const n = one.counts;
    return h("section", null, h("h2", null, title),
      paragraph(`${count((n.analysed ?? 0) + (n.excluded ?? 0) + (n.quarantined ?? 0), "patient")} in the exports: ${n.analysed ?? 0} analysed, ${n.excluded ?? 0} excluded, ${n.quarantined ?? 0} quarantined. Nobody is lost: each has exactly one fate.`),
      h("p", { class: "choices" }, sites.length > 1 && select("Centre", [ALL, ...sites], (event) => { chosen.site = event.target.value; show(); }),
        arms.length > 1 && select("Arm", [ALL, ...arms], (event) => { chosen.arm = event.target.value; show(); })),
      place, matrix,
      h("h3", null, `Patients not analysed (${one.fates.n})`), one.fates.n ? [filter("Show patients with", gone), gone] : note("None."),
      h("h3", null, `Cells and rows set aside (${lost.length})`),
      note("A value that cannot be right is set aside, never corrected by guess. The file and row say where it stands; the reason says why."),
      lost.length ? [filter("Show entries with", set), set] : note("None."),
      h("h3", null, `Records flagged (${odd.length})`),
      odd.length ? [filter("Show flags with", flags), flags] : note("None."));
  }

  async function patients() {
    const [core, ledger] = await Promise.all([part("core"), part("ledger")]);
    return Object.entries(ledger).map(([cohort, one]) => flowOf(cohort, core.cohorts[cohort].title, one));
  }

  /* --- data ----------------------------------------------------------------------------------------------------------------- */

  async function data() {
    const [core, dictionary] = await Promise.all([part("core"), part("dictionary")]);
    const stage = (path) => (Audit.isRaw(core, path) ? "raw" : path.startsWith("results/") ? path.split("/")[2] : "source");
    const made = new Map();
    core.jobs.forEach((job, i) => job.outputs.forEach((f) => made.set(core.files[f][0], i)));
    const files = grid("Every file that a job of this paper read or wrote", ["File", "Stage", "sha256", "Size", "Made by"],
      core.files.map(([path, sha, size]) => [link(`file:${path}`, mark(path)), stage(path), digest(sha), bytes(size), made.has(path) ? jobLink(core, made.get(path)) : "nobody: a source"]),
      { rowHead: true, numeric: [3] });
    const words = Object.entries(dictionary).map(([cohort, packed]) => {
      const rows = [...new Table(packed).rows()];
      const table = grid(`Variables of the analysis datasets of ${cohort}`, ["Dataset", "Variable", "Label", "Type", "Unit", "Codes", "Derivation", "Source"],
        rows.map((row) => [row.dataset, code(row.variable), row.label, row.type, row.unit ?? "", row.codelist ?? "", row.derivation ?? "", row.source ?? ""]));
      return [h("h3", null, core.cohorts[cohort].title), filter("Show variables with", table), table];
    });
    return [h("h2", null, "Data dictionary"), words, h("h2", null, "Files"), filter("Show files with", files), files];
  }

  /* --- jobs and code ------------------------------------------------------------------------------------------------------- */

  async function jobs() {
    const [core, run] = await Promise.all([part("core"), part("run")]);
    const list = grid("Jobs behind this paper, makers before their readers", ["Job", "Cohort", "What it does", "Seal", "Files read", "Files written", "Seconds"],
      core.jobs.map((job, i) => [jobLink(core, i), job.cohort, job.does, digest(job.seal), job.inputs.length, job.outputs.length, run.jobs[job.record]?.seconds ?? ""]),
      { rowHead: true, numeric: [4, 5, 6] });
    const ran = new Map();
    core.jobs.forEach((job) => job.code.forEach((i) => ran.set(i, (ran.get(i) ?? 0) + 1)));
    const files = grid("Code that the jobs may have run", ["File", "sha256", "Jobs", "Now"], core.code.map(([path, sha, state], i) => [
      link(`code:${path}@${sha}`, path), digest(sha), ran.get(i) ?? 0, Audit.now(state)]),
    { rowHead: true, numeric: [2] });
    return [paragraph(`${count(core.jobs.length, "job")}, each with a sealed record of what it read, ran and wrote.`),
      filter("Show jobs with", list), list, h("h2", null, "Code as it ran"), filter("Show files with", files), files];
  }

  async function environment() {
    const core = await part("core");
    const rules = new Map();
    core.jobs.forEach((job) => {
      const found = rules.get(job.environment) ?? rules.set(job.environment, new Set()).get(job.environment);
      found.add(job.rule);
    });
    const versions = new Map();
    core.environments.forEach((one, e) => Object.entries(one.distributions).forEach(([name, version]) => {
      const known = versions.get(`${name}\n${version}`) ?? versions.set(`${name}\n${version}`, new Set()).get(`${name}\n${version}`);
      for (const rule of rules.get(e) ?? []) known.add(rule);
    }));
    const list = grid("Packages that jobs imported, with the rules whose jobs did", ["Package", "Version", "Rules"],
      [...versions].map(([key, of]) => [...key.split("\n"), [...of].sort().join(", ")]).sort((a, b) => a[0].localeCompare(b[0])), { rowHead: true });
    const pythons = [...new Set(core.environments.map((one) => one.python))];
    return [paragraph(`Python ${pythons.join(", ")} and what each job imported, as its record lists it.`), filter("Show packages with", list), list];
  }

  /* --- run log, seals --------------------------------------------------------------------------------------------------------- */

  async function log() {
    const [core, run, seals] = await Promise.all([part("core"), part("run"), part("seals")]);
    const breaches = seals.length
      ? grid("Files that are not as their record says", ["File", "What", "Record", "Recorded", "Found"], seals.map((one) => [
        mark(one.path), [h("strong", null, one.broken ? "broken: " : "moved on: "), one.message], one.record ? link(`job:${one.record}`, one.record) : "", digest(one.expected), digest(one.found)]), { rowHead: true })
      : h("p", { class: "good" }, "Every file is as the job that made it left it; every record is as it was written; the run log is unbroken.");
    const failed = run.failed.map((one) => h("section", { class: "failed" }, h("h3", null, `${one.rule} `, code(one.path)),
      facts([["When", one.run?.started], ["Error", one.error && [code(one.error.type), ": ", mark(one.error.message)]]]),
      one.error?.traceback && fold("Traceback", () => h("pre", { tabindex: "0" }, one.error.traceback))));
    const logs = Object.entries(run.log).map(([cohort, packed]) => {
      const entries = [...new Table(packed).rows()];
      const table = grid(`Run log of ${cohort}`, ["No", "Time", "Event", "Job", "Seconds", "Error", "Digest of the line"], entries.map((one) => [
        one.seq, one.time, one.event, one.record && Audit.place(core, one.record) !== undefined ? link(`job:${one.record}`, one.rule) : `${one.rule ?? ""}`,
        one.seconds ?? "", [one.fault && h("strong", null, one.fault), mark(one.error ?? "")], digest(one.digest)]), { numeric: [0, 4] });
      return [h("h3", null, `${cohort}: ${count(entries.length, "line")}`), entries.length ? [filter("Show lines with", table), table] : note("No run log.")];
    });
    return [h("h2", null, "Seals"), paragraph("As they stood when this site was built. ", code("sorafenib-rfa status"), " checks them anew."), breaches,
      h("h2", null, "Failed jobs"), failed.length ? failed : note("None is recorded."), h("h2", null, "Run log"),
      note("Only ever appended to; each line carries the digest of the one before."), logs];
  }

  async function agreement() {
    const rows = [...new Table(await part("agreement")).rows()];
    const largest = Math.max(...rows.map((row) => row.relative_difference ?? 0));
    const list = grid("Each quantity that was computed here and by an independent implementation", ["Family", "Quantity", "R function", "Data", "Values", "There", "Here", "Relative difference"],
      rows.map((row) => [row.family, code(row.quantity), code(row.function), row.data, row.values, row.reference, row.ours, row.relative_difference]), { numeric: [4, 7] });
    return [paragraph(`${count(rows.length, "quantity", "quantities")} compared; the largest relative difference is ${largest}. `, code("make crosscheck"), " repeats it."),
      facts([["Versions", [...new Set(rows.map((row) => row.versions))].join("; ")]]), filter("Show quantities with", list), list];
  }

  async function checklists() {
    const { checklists: lists } = await part("paper");
    if (!lists.length) return note("The paperwork of this cohort has not been built: ", code("make audit"), " builds it.");
    return lists.map((list) => {
      const section = h("section", { class: "checklist", "aria-label": list.heading });
      section.innerHTML = list.html; // sanitised when the site was built
      return section;
    });
  }

  Object.assign(Audit, { pages: { checklists, numbers, patients, data, jobs, environment, log, agreement } });
})();
