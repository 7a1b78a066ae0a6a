/* What the side panel shows: the chain of a number, sentence, table, figure or fact; a job, file, code, patient, step. */
"use strict";

(() => {
  const { h, part, Table, count, short, bytes, numbers, places, ranges, link, code, mark, facts, grid, fold, isRaw, wayOf } = Audit;

  const section = (title, ...children) => h("section", null, h("h3", null, title), children);
  const note = (...children) => h("p", { class: "note" }, children);
  const digest = (value) => h("code", { class: "digest", title: value }, short(value));
  const place = (core, record) => (core.places ??= new Map(core.jobs.map((job, i) => [job.record, i]))).get(record);
  const jobLink = (core, i) => link(`job:${core.jobs[i].record}`, core.jobs[i].title);

  function file(core, i) {
    const [path] = core.files[i];
    return link(`file:${path}`, mark(path));
  }

  /* --- rows of the ARD ------------------------------------------------------------------------------------------------ */

  async function ard() {
    const packed = await part("ard");
    return (ard.found ??= Object.fromEntries(Object.entries(packed).map(([cohort, columns]) => {
      const table = new Table(columns);
      return [cohort, { table, at: new Map(Array.from({ length: table.n }, (_, i) => [table.get(i, "ard_id"), i])) }];
    })));
  }

  function rowOf(tables, target) {
    const [cohort, id] = [target.slice(0, target.indexOf(":")), target.slice(target.indexOf(":") + 1)];
    const known = tables[cohort]?.at.get(id);
    return known === undefined ? null : { cohort, ...tables[cohort].table.row(known) };
  }

  const plain = (value) =>
    typeof value === "number" ? String(value).replace(/^-/, "\u2212").replace(/e-/, "e\u2212")
      : value === "Infinity" ? "not reached" : value;
  const bounds = (low, high) => (low === null && high === null ? null : `${plain(low) ?? "?"} to ${plain(high) ?? "?"}`);

  function usesOf(core, target) {
    return core.uses.filter(([, , , , , ids]) => ids.includes(target));
  }

  function whereUsed(core, uses) {
    if (!uses.length) return note("Not used in the paper.");
    const claims = [...new Set(uses.map((use) => use[4]).filter(Boolean))];
    const exhibits = [...new Set(uses.filter((use) => use[2] === "table" || use[2] === "figure").map((use) => `${use[2]}:${use[3]}`))];
    const sources = [...new Set(uses.map(([name, line]) => `${name}:${line}`))];
    return facts([
      ["Sources", h("ul", { class: "plain" }, sources.map((text) => h("li", null, code(text))))],
      ["Sentences", claims.map((name, i) => [i ? ", " : "", link(`claim:${name}`, name)])],
      ["Exhibits", exhibits.map((target, i) => [i ? ", " : "", link(target, core.captions[target]?.label ?? target)])],
    ]);
  }

  /* --- a chain of jobs as a list ----------------------------------------------------------------------------------------- */

  function parameters(core, job) {
    const names = Object.keys(job.params);
    if (!names.length) return note("None.");
    return h("dl", { class: "parameters" }, names.map((name) => {
      const value = core.params[job.params[name]];
      const text = typeof value === "string" ? value : JSON.stringify(value, null, 1);
      return [h("dt", null, name),
        h("dd", null, text.length > 80 ? h("pre", { tabindex: "0", "aria-label": `Parameter ${name}` }, text) : code(text))];
    }));
  }

  const STATES = { same: "as in the tree", reworded: "reworded since: comments or formatting", changed: "changed since", gone: "gone from the tree" };
  const now = (state) => (state === "same" ? STATES.same : h("strong", null, STATES[state]));

  function codeList(core, job) {
    const rows = job.code.map((i) => {
      const [path, sha, state] = core.code[i];
      return [link(`code:${path}@${sha}`, path), digest(sha), now(state)];
    });
    return grid(`Files of code that ${job.title} may have run`, ["File", "sha256", "Now"], rows, { rowHead: true });
  }

  function inputs(core, job) {
    return grid(`Files that ${job.title} read`, ["File", "sha256", "Size", "Made by"], job.inputs.map(([i, maker]) => [
      file(core, i), digest(core.files[i][1]), bytes(core.files[i][2]), maker >= 0 ? jobLink(core, maker) : "nobody: a source",
    ]), { rowHead: true, numeric: [2] });
  }

  function outputs(core, job) {
    return grid(`Files that ${job.title} wrote`, ["File", "sha256", "Size"], job.outputs.map((i) => [
      file(core, i), digest(core.files[i][1]), bytes(core.files[i][2]),
    ]), { rowHead: true, numeric: [2] });
  }

  function packages(core, job) {
    const { python, distributions } = core.environments[job.environment];
    const names = Object.keys(distributions).sort((a, b) => a.localeCompare(b));
    return h("p", { class: "packages" }, code(`Python ${python}`), names.map((name) => [" ", code(`${name} ${distributions[name]}`)]));
  }

  function step(core, i) {
    const job = core.jobs[i];
    const moved = job.code.filter((c) => core.code[c][2] !== "same").length;
    return h("li", null,
      h("p", { class: "step" }, jobLink(core, i), h("span", { class: "seal" }, "seal ", digest(job.seal))),
      job.does && h("p", { class: "does" }, job.does),
      h("div", { class: "folds" },
        fold(`Code: ${count(job.code.length, "file")}${moved ? `, ${moved} changed since` : ""}`, () => codeList(core, job)),
        fold(`Parameters: ${count(Object.keys(job.params).length, "name")}, seed ${job.seed}`, () => parameters(core, job)),
        fold(`Inputs: ${count(job.inputs.length, "file")}`, () => inputs(core, job))));
  }

  function rawFiles(core, jobs) {
    const found = new Map();
    for (const i of jobs)
      for (const [f, maker] of core.jobs[i].inputs)
        if (isRaw(core, core.files[f][0]) || maker < 0) found.set(f, maker);
    const all = [...found].sort((a, b) => core.files[a[0]][0].localeCompare(core.files[b[0]][0]));
    const list = (caption, chosen) => chosen.length
      ? grid(caption, ["File", "sha256", "Size", "Made by"], chosen.map(([f, maker]) => [
        file(core, f), digest(core.files[f][1]), bytes(core.files[f][2]), maker >= 0 ? jobLink(core, maker) : "nobody: a source",
      ]), { rowHead: true, numeric: [2] })
      : null;
    return [
      list("Raw files", all.filter(([f]) => isRaw(core, core.files[f][0]))),
      list("Other sources: files no job makes", all.filter(([f]) => !isRaw(core, core.files[f][0]))),
    ];
  }

  function chain(core, way, top) {
    const jobs = Audit.jobsOf(core, way);
    if (!jobs.length) return [section("Chain", note("No record of the job was found."))];
    return [
      section("Chain", h("div", { class: "drawn" }, Audit.draw(core, way, top, `Drawing of the chain of ${top.label}; the same as a list below`))),
      section("Step by step", note("From the result back to the raw data; each job with the code that ran."),
        h("ol", { class: "steps" }, jobs.map((i) => step(core, i)))),
      section("Raw files and sources", rawFiles(core, jobs)),
    ];
  }

  /* --- who stands behind a count ------------------------------------------------------------------------------------------ */

  async function people() {
    const packed = await part("members");
    for (const one of Object.values(packed)) one.at ??= new Map(one.patients.map((patient, i) => [patient, i]));
    return packed;
  }

  /* Every row of a raw file that may be counted, as [patient, file, row]: those of each patient, then the further ones. */
  function lines(one) {
    if (one.lines) return one.lines;
    const found = [];
    one.rows.forEach((list, i) => {
      for (let k = 0; k < list.length; k += 2) for (const row of numbers(list[k + 1])) found.push([i, list[k], row]);
    });
    for (let k = 0; k < one.further.length; k += 3) found.push(one.further.slice(k, k + 3));
    return (one.lines = found);
  }

  const fileSheet = ([name, sheet]) => (sheet ? [link(`file:${name}`, mark(name)), `, sheet ${sheet}`] : link(`file:${name}`, mark(name)));

  function rawRows(one, i) {
    const found = [];
    for (let k = 0; k < one.rows[i].length; k += 2)
      found.push(h("li", null, fileSheet(one.files[one.rows[i][k]]), ": rows ", ranges(one.rows[i][k + 1])));
    return h("ul", { class: "plain" }, found);
  }

  const capital = (word) => word[0].toUpperCase() + word.slice(1);
  const howMany = (one, n) => count(n, one.who, one.who === "entry" ? "entries" : "patients");

  function patientTable(one, inside) {
    return grid("Patients counted, and the rows of raw files that tell of each", ["Patient", "Rows of raw files"],
      inside.map((i) => [link(`patient:${one.patients[i]}`, mark(one.patients[i])), rawRows(one, i)]), { rowHead: true });
  }

  function counted(one, id) {
    const of = one?.of[id];
    if (!of) return null;
    const [kind, set] = of;
    const inside = places(one.sets[kind], set);
    if (kind === "p") {
      const rows = inside.reduce((n, i) => n + one.rows[i].reduce((m, runs, k) => (k % 2 ? m + numbers(runs).length : m), 0), 0);
      return [h("p", null, `${count(inside.length, "patient")}, of whom ${count(rows, "row")} of raw files tell.`),
        inside.length ? fold(`Show the ${count(inside.length, "patient")}`, () => patientTable(one, inside), inside.length <= 8) : null];
    }
    const items = inside.map((k) => lines(one)[k]);
    return [h("p", null, `${count(items.length, "row")} of raw files.`),
      fold(`Show the ${count(items.length, "row")}`, () => grid("Rows counted", ["File", "Row", capital(one.who)],
        items.map(([patient, f, line]) => [fileSheet(one.files[f]), line,
          patient < 0 ? "" : link(`patient:${one.patients[patient]}`, mark(one.patients[patient]))]),
        { numeric: [1] }), items.length <= 8)];
  }

  /* Patients or rows behind a count; of a percentage, behind its counts; of an estimate, the counts that it rests on. */
  async function members(row, table, at) {
    const one = (await people())[row.cohort];
    const packed = one.counts[at];
    const behind = [];
    for (let k = 0; k < packed.length; k += 2) behind.push([one.roles[packed[k]], table.row(packed[k + 1])]);
    if (behind.length === 1 && behind[0][1].ard_id === row.ard_id)
      return section("Who is counted", row.value === 0 ? note("Nobody: the count is 0.") : counted(one, row.ard_id));
    if (!behind.length)
      return row.unit === "count" ? section("Who is counted", note("This counts neither patients nor rows of data (resamples, tests, combinations).")) : null;
    return section("Whom it rests on", note("The counts behind this value, and who is in them."),
      behind.map(([role, other]) => h("div", { class: "behind" },
        h("p", { class: "step" }, h("span", null, `${role.replaceAll("_", " ")}: `, link(`${row.cohort}:${other.ard_id}`, plain(other.value) ?? "not estimable")), code(other.ard_id)),
        counted(one, other.ard_id))));
  }

  /* --- numbers -------------------------------------------------------------------------------------------------------------- */

  function rowFacts(core, row) {
    const cohort = core.cohorts[row.cohort];
    return facts([
      ["Id", code(`${row.cohort}:${row.ard_id}`)],
      ["Value", plain(row.value) ?? "not estimable"],
      ["95% interval", bounds(row.ci_low, row.ci_high)],
      ["p value", plain(row.p_value)],
      ["Unit", row.unit], ["Statistic", row.stat_name], ["Variable", row.variable], ["Group", row.group],
      ["Population", row.population], ["Estimand", row.estimand_id], ["Analysis", row.analysis_id],
      ["Method", row.method], ["Engine", row.engine],
      ["Cohort", cohort && `${row.cohort}: ${cohort.title}${cohort.of ? ` (${cohort.of})` : ""}`],
      ["Computed by", place(core, row.record) === undefined ? code(row.record) : jobLink(core, place(core, row.record))],
      ["Collected by", row.file && makerOf(core, row.file) !== undefined && core.jobs[makerOf(core, row.file)].record !== row.record ? jobLink(core, makerOf(core, row.file)) : null], ["Printed by", jobLink(core, place(core, core.paper))],
    ]);
  }

  const makerOf = (core, path) => {
    core.makers ??= new Map(core.jobs.flatMap((job, i) => job.outputs.map((f) => [core.files[f][0], i])));
    return core.makers.get(path);
  };

  /* The jobs that estimated rows, and those that only collected them. */
  function wayOfRows(core, rows, heads = []) {
    const known = (list) => [...new Set(list)].filter((i) => i !== undefined);
    const starts = known(rows.map((row) => place(core, row.record)));
    return wayOf(starts, known(rows.map((row) => makerOf(core, row.file))).filter((i) => !starts.includes(i)), heads);
  }

  const printedAs = (target) => Audit.printed(target)[0]?.textContent;

  async function number(targets) {
    const [core, tables] = await Promise.all([part("core"), ard()]);
    const rows = targets.map((target) => rowOf(tables, target));
    const lost = targets.filter((_, i) => !rows[i]);
    if (lost.length) return unknown(`no row of the results has the id ${lost.join(", ")}`);
    const one = rows.length === 1;
    const title = targets.map((target, i) => printedAs(target) ?? plain(rows[i].value) ?? "not estimable").join(" \u00b7 ");
    const who = [];
    for (const row of rows) who.push(await members(row, tables[row.cohort].table, tables[row.cohort].at.get(row.ard_id)));
    return {
      kind: one ? "Number" : `Cell of ${count(rows.length, "number")}`, title,
      body: [
        one ? rowFacts(core, rows[0]) : rows.map((row, i) => section(printedAs(targets[i]) ?? plain(row.value), rowFacts(core, row))),
        who,
        chain(core, wayOfRows(core, rows), { label: title, small: one ? rows[0].ard_id.split(".").slice(-2).join(" ") : `${rows.length} numbers` }),
        section("Where it stands in the paper", whereUsed(core, [...new Set(targets.flatMap((target) => usesOf(core, target)))])),
      ],
    };
  }

  function listOfNumbers(ids) {
    return h("ul", { class: "plain" }, ids.map((id) => h("li", null, link(id, printedAs(id) ?? "not printed"), " ", code(id))));
  }

  const rowsOf = (tables, ids) => ids.map((id) => rowOf(tables, id)).filter(Boolean);

  async function claim(name) {
    const [core, tables] = await Promise.all([part("core"), ard()]);
    const found = core.claims[name];
    const said = document.querySelector(`#paper .claim[data-claim="${CSS.escape(name)}"]`);
    if (!found) return unknown(`the paper has no sentence named ${name}`);
    const within = core.uses.filter((use) => use[2] === "val" && use[4] === name).flatMap((use) => use[5]);
    const ids = [...new Set([...Object.values(found.ard), ...within])];
    const text = said ? Audit.said(said) : "";
    const value = ([alias, id]) => {
      const row = rowOf(tables, id);
      return [code(alias), link(id, row ? [plain(row.value), bounds(row.ci_low, row.ci_high)].filter(Boolean).join(", ") || "not estimable" : "?"), code(id)];
    };
    return {
      kind: "Sentence", title: name,
      body: [
        text && h("blockquote", null, text),
        section("Why it reads so", note("The sentence is written once for each outcome; the first wording whose condition holds is printed."),
          h("ol", { class: "branches" }, found.branches.map((branch, i) => h("li", { class: i === found.held ? "held" : null },
            h("p", null, branch.if ? ["if ", code(branch.if)] : "otherwise", i === found.held && h("strong", { class: "tag" }, "this one holds")),
            h("p", { class: "does" }, branch.say), note(code(`${core.claimsFile}:${branch.line}`)))))),
        section("What it looks at", grid("Results in the conditions", ["Name", "Value", "Id"], Object.entries(found.ard).map(value), { rowHead: true })),
        chain(core, wayOfRows(core, rowsOf(tables, ids)), { label: name, small: "sentence" }),
        section("Where it stands in the paper", whereUsed(core, core.uses.filter((use) => use[2] === "claim" && use[3] === name))),
      ],
    };
  }

  async function exhibit(kind, name) {
    const [core, tables] = await Promise.all([part("core"), ard()]);
    const full = name.includes(":") ? name : `${core.cohort}:${name}`;
    const [cohort, stem] = full.split(":");
    const wanted = new RegExp(`^results/${cohort}/(validation/)?${kind}s/${stem.replace(/\W/g, "\\$&")}\\.\\w+$`);
    const made = core.jobs.findIndex((job) => job.outputs.some((f) => wanted.test(core.files[f][0])));
    const uses = core.uses.filter((use) => use[2] === kind && (use[3] === full || (kind === "figure" && use[3].endsWith(`/${stem}`))));
    if (made < 0) return unknown(`no job made the ${kind} ${full}`);
    const ids = [...new Set(uses.flatMap((use) => use[5]))];
    const caption = core.captions[`${kind}:${full}`];
    return {
      kind: kind === "table" ? "Table" : "Figure", title: caption?.label ?? full,
      body: [
        caption && h("p", null, caption.text),
        facts([["Id", code(`${kind}:${full}`)], ["Made by", jobLink(core, made)],
          ["Files", core.jobs[made].outputs.map((f, i) => [i ? h("br") : "", file(core, f)])]]),
        kind === "table" && ids.length ? section("Numbers in it", note("Each cell opens its own chain."),
          fold(`Show the ${count(ids.length, "number")}`, () => listOfNumbers(ids))) : null,
        chain(core, kind === "table" && ids.length ? wayOfRows(core, rowsOf(tables, ids), [made]) : wayOf([made]), { label: caption?.label ?? full, small: stem }),
        section("Where it stands in the paper", whereUsed(core, uses)),
      ],
    };
  }

  async function meta(key) {
    const core = await part("core");
    const fact = core.facts[key];
    if (!fact) return unknown(`the paper prints no fact named ${key}`);
    const uses = core.uses.filter((use) => use[2] === "meta" && use[3] === key);
    return {
      kind: "Fact about the run", title: Audit.printed(`meta:${key}`)[0]?.textContent ?? fact.value ?? key,
      body: [
        facts([["Key", code(key)], ["Value", fact.value], ["From", fact.file && code(fact.line ? `${fact.file}:${fact.line}` : fact.file)],
          ["There as", fact.key && code(fact.key)], ["There now", fact.now && h("strong", null, fact.now)]]),
        section("The job that printed it", h("ol", { class: "steps" }, step(core, place(core, core.paper)))),
        section("Where it stands in the paper", whereUsed(core, uses)),
      ],
    };
  }

  /* --- jobs, files, code, patients --------------------------------------------------------------------------------------- */

  function timing(run, record) {
    const told = run.jobs[record];
    if (!told) return [];
    return [["Ran", [told.started, told.ended].filter(Boolean).join(" to ")],
      ["Took", told.seconds !== undefined ? `${told.seconds} s` : null],
      ["Peak memory", told.peak_memory_mb ? `${told.peak_memory_mb} MB` : null],
      ["On", [told.host, told.platform].filter(Boolean).join(", ")], ["By", told.user], ["Log", told.log && code(told.log)]];
  }

  async function job(record) {
    const [core, run] = await Promise.all([part("core"), part("run")]);
    const i = place(core, record);
    if (i === undefined) return unknown(`no record ${record} belongs to this paper`);
    const found = core.jobs[i];
    const after = Audit.downstream(core.jobs, i);
    return {
      kind: "Job", title: found.title,
      body: [
        found.does && h("p", null, found.does),
        facts([["Record", code(record)], ["Script", scriptLink(core, found)], ["Notebook", found.notebook && code(found.notebook)],
          ["Seal", h("code", { class: "digest" }, found.seal)], ["Code digest", h("code", { class: "digest" }, found.digest)],
          ["Seed", found.seed], ...timing(run, record)]),
        section("Parameters", parameters(core, found)),
        section("Code as it ran", codeList(core, found)),
        section("Inputs", inputs(core, found)),
        section("Outputs", outputs(core, found)),
        section("Packages", packages(core, found)),
        section("What rests on it", after.length ? h("ul", { class: "plain" }, after.map((k) => h("li", null, jobLink(core, k)))) : note("Nothing in this paper.")),
        chain(core, wayOf([i]), { label: found.title, small: "this job" }).slice(0, 1),
      ],
    };
  }

  function scriptLink(core, found) {
    const known = found.code.map((i) => core.code[i]).find(([path]) => path === found.script);
    return known ? link(`code:${known[0]}@${known[1]}`, known[0]) : code(found.script);
  }

  async function fileView(path) {
    const core = await part("core");
    const states = core.files.filter((entry) => entry[0] === path);
    if (!states.length) return unknown(`no job of this paper read or wrote ${path}`);
    const made = core.jobs.findIndex((one) => one.outputs.some((f) => core.files[f][0] === path));
    const read = core.jobs.map((one, i) => (one.inputs.some(([f]) => core.files[f][0] === path) ? i : -1)).filter((i) => i >= 0);
    const inside = isRaw(core, path) ? await ofRawFile(path) : null;
    return {
      kind: isRaw(core, path) ? "Raw file" : made >= 0 ? "File" : "Source", title: mark(path.split("/").pop()),
      body: [
        facts([["Path", code(mark(path))],
          ["sha256", states.map((entry) => h("code", { class: "digest" }, entry[1]))],
          ["Size", states.map((entry) => bytes(entry[2])).join("; ")],
          ["Made by", made >= 0 ? jobLink(core, made) : "nobody: it was put here"],
          ["Read by", read.length ? h("ul", { class: "plain" }, read.map((i) => h("li", null, jobLink(core, i)))) : null]]),
        isRaw(core, path) ? note("The content is not part of this site. To check it, look into the file in the repository: rows are counted as a spreadsheet shows them, the header being row 1.") : null,
        inside,
      ],
    };
  }

  async function ofRawFile(path) {
    const [packed, ledger] = await Promise.all([people(), part("ledger")]);
    const found = [];
    for (const one of Object.values(packed)) {
      const sheets = one.files.map((entry, f) => (entry[0] === path ? f : -1)).filter((f) => f >= 0);
      if (!sheets.length) continue;
      const rows = [];
      one.rows.forEach((list, i) => {
        for (let k = 0; k < list.length; k += 2) if (sheets.includes(list[k])) rows.push([i, one.files[list[k]][1], list[k + 1]]);
      });
      if (rows.length)
        found.push(section("Rows that were read", fold(`Show the rows of ${howMany(one, new Set(rows.map((row) => row[0])).size)}`,
          () => grid("What was read in this file", [capital(one.who), "Rows"], rows.map(([i, sheet, runs]) => [
            link(`patient:${one.patients[i]}`, mark(one.patients[i])), `${sheet ? `sheet ${sheet}: ` : ""}${ranges(runs)}`]), { rowHead: true }))));
    }
    const set = Object.values(ledger).flatMap((one) => [...new Table(one.quarantine).rows()].filter((row) => row.file === path));
    const [odd, gone] = [set.filter(flagged), set.filter((row) => !flagged(row))];
    if (gone.length) found.push(section("Set aside from it", quarantineTable(gone)));
    if (odd.length) found.push(section("Odd in it, and kept", quarantineTable(odd, FLAGS)));
    return found;
  }

  const FLAGS = "Records that are odd and stay as they are";
  const flagged = (row) => row.scope === "flag";

  function quarantineTable(rows, caption = "Cells and rows set aside, with the reason") {
    return grid(caption, ["File", "Row", "Column", "Patient", "Rule", "Reason", "Lost"],
      rows.map((row) => [[link(`file:${row.file}`, mark(row.file)), row.sheet ? `, sheet ${row.sheet}` : ""], row.row, mark(row.column ?? ""),
        mark(row.subject_id ?? ""), code(row.rule), mark(row.reason ?? ""), row.scope === "row" ? "the row" : flagged(row) ? "nothing" : "the value"]), { numeric: [1] });
  }

  const KEYWORDS = /^(?:False|None|True|and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|nonlocal|not|or|pass|raise|return|try|while|with|yield|match|case)$/;
  const PIECES = /("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(#[^\n]*)|([A-Za-z_]\w*)|(\b\d[\d_.eE]*\b)/g;

  function highlighted(text) {
    const out = document.createDocumentFragment();
    let from = 0;
    for (const found of text.matchAll(PIECES)) {
      const kind = found[1] ? "string" : found[2] ? "comment" : found[4] ? "value" : KEYWORDS.test(found[0]) ? "word" : null;
      if (!kind) continue;
      Audit.add(out, [text.slice(from, found.index), h("span", { class: `c-${kind}` }, found[0])]);
      from = found.index + found[0].length;
    }
    return Audit.add(out, [text.slice(from)]);
  }

  function listing(text, path) {
    if (path.endsWith(".ipynb")) {
      const cells = JSON.parse(text).cells.map((cell) => [cell.cell_type, [].concat(cell.source).join("")]);
      return cells.map(([kind, source]) => [h("p", { class: "note" }, kind), pre(kind === "code" ? highlighted(source) : source, source, path)]);
    }
    return pre(path.endsWith(".py") ? highlighted(text) : text, text, path);
  }

  function pre(content, text, path) {
    const lines = text.replace(/\n$/, "").split("\n").length;
    return h("div", { class: "listing", tabindex: "0", role: "region", "aria-label": `Code of ${path}` },
      h("pre", { class: "lines", "aria-hidden": "true" }, Array.from({ length: lines }, (_, i) => i + 1).join("\n")),
      h("pre", { class: "code" }, content));
  }

  function difference(text) {
    return h("div", { class: "listing", tabindex: "0", role: "region", "aria-label": "Difference" },
      h("pre", { class: "code" }, text.split("\n").map((line, i) => h("span", {
        class: i < 2 ? "d-head" : line.startsWith("@@") ? "d-at" : line.startsWith("+") ? "d-in" : line.startsWith("-") ? "d-out" : null,
      }, line, "\n"))));
  }

  async function codeView(name) {
    const [core, store] = await Promise.all([part("core"), part("code")]);
    const [path, wanted] = [name.split("@")[0], name.split("@")[1]];
    const versions = core.code.map((entry, i) => [i, ...entry]).filter((entry) => entry[1] === path && (!wanted || entry[2] === wanted));
    if (!versions.length) return unknown(`no job of this paper ran ${name}`);
    const [at, , sha, state] = versions[0];
    const text = store.text[sha];
    const ran = core.jobs.map((one, i) => (one.code.includes(at) ? i : -1)).filter((i) => i >= 0);
    const changed = store.diff[`${path}@${sha}`];
    return {
      kind: "Code as it ran", title: path.split("/").pop(), wide: true,
      body: [
        facts([["Path", code(path)], ["sha256", h("code", { class: "digest" }, sha)],
          ["In the tree", [now(state), changed ? "; the difference is below" : ""]],
          ["Run by", fold(count(ran.length, "job"), () => h("ul", { class: "plain" }, ran.map((i) => h("li", null, jobLink(core, i)))), ran.length < 4)]]),
        changed ? section("Difference from what ran to the tree", difference(changed)) : null,
        section("Text", text === null || text === undefined ? h("p", { class: "warning" }, "The store of code has lost or changed this file.") : listing(text, path)),
      ],
    };
  }

  async function patient(id) {
    const [packed, ledger] = await Promise.all([people(), part("ledger")]);
    const [cohort, one] = Object.entries(packed).find(([, members_]) => members_.at.has(id)) ?? [];
    if (!one) return unknown(`no patient ${id}`);
    const i = one.at.get(id);
    const fates = ledger[cohort] ? new Table(ledger[cohort].fates) : null;
    const left = fates ? [...fates.rows()].find((row) => row.USUBJID === id) : null;
    const counts = Object.entries(one.of).filter(([, [kind, set]]) => kind === "p" && places(one.sets.p, set).includes(i));
    return {
      kind: capital(one.who), title: mark(id),
      body: [
        facts([["Cohort", cohort], ["Fate", left ? `${left.fate}: ${left.reason}` : fates && "analysed"], ["At the step", left?.step_id && code(left.step_id)]]),
        section("Rows of raw files", one.rows[i].length ? rawRows(one, i) : left ? h("p", null, link(`file:${left.src_file}`, mark(left.src_file)), `: row ${left.src_row}`) : note("None.")),
        fates && section("Counts in which this patient is", note(count(counts.length, "count")),
          fold("Show them", () => listOfNumbers(counts.map(([ard]) => `${cohort}:${ard}`)))),
      ],
    };
  }

  async function folder(path) {
    const core = await part("core");
    const inside = core.files.map((entry, f) => [entry[0], f]).filter(([name]) => name.slice(0, name.lastIndexOf("/")) === path);
    if (!inside.length) return unknown(`no file of this paper lies in ${path}`);
    return {
      kind: "Raw files", title: mark(path),
      body: [grid("Files in this folder", ["File", "sha256", "Size"], inside.map(([, f]) => [
        file(core, f), digest(core.files[f][1]), bytes(core.files[f][2])]), { rowHead: true, numeric: [2] })],
    };
  }

  async function stepView(name) {
    const [cohort, id] = name.includes(":") ? name.split(":") : [(await part("core")).cohort, name];
    const ledger = (await part("ledger"))[cohort];
    const rows = ledger ? [...new Table(ledger.fates).rows()].filter((row) => row.step_id === id) : [];
    if (!rows.length) return unknown(`nobody left at a step ${id}`);
    return { kind: "Step", title: rows[0].reason, body: [h("p", null, `${count(rows.length, "patient")} left at this step.`), fateTable(rows)] };
  }

  function fateTable(rows, caption = "Patients who are not analysed, with the reason") {
    return grid(caption, ["Patient", "Centre", "Fate", "Step", "Reason", "File", "Row"],
      rows.map((row) => [link(`patient:${row.USUBJID}`, mark(row.USUBJID)), row.site, row.fate, code(row.step_id ?? ""), mark(row.reason ?? ""),
        row.src_file ? link(`file:${row.src_file}`, mark(row.src_file)) : "", row.src_row ?? ""]), { rowHead: true, numeric: [6] });
  }

  const unknown = (why) => ({ kind: "Nothing found", title: "Not in this paper", body: [h("p", null, `There is nothing to show: ${why}.`)] });

  const KINDS = {
    claim, table: (name) => exhibit("table", name), figure: (name) => exhibit("figure", name), meta, job, file: fileView,
    code: codeView, patient, folder, step: stepView,
  };

  /* What stands under a target -> {kind, title, body, wide}. */
  async function view(target) {
    const kind = target.slice(0, target.indexOf(":"));
    if (Object.hasOwn(KINDS, kind)) return KINDS[kind](target.slice(kind.length + 1));
    const core = await part("core");
    return number(target.split(",").map((id) => (id.includes(":") ? id : `${core.cohort}:${id}`)));
  }

  Object.assign(Audit, { view, ard, now, makerOf, quarantineTable, flagged, fateTable, jobLink, digest, section, note, packages, place, KINDS });
})();
