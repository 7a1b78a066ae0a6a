"""Who is counted in the liver part, recounted from ADaM in SQL (DuckDB) on random cohorts, without our functions."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN
from hypothesis import given, settings
from hypothesis import strategies as st

from sorafenib_rfa.estimates.liver import estimate_liver
from sorafenib_rfa.vocabulary import CONTROL, SORAFENIB

ULN = {"ALT": 40.1, "AST": 35.0, "BILI": 20.52, "ALP": 120.0, "CREA": 104.0, "INR": 1.2, "AFP": 20.0}
MULTIPLES = [0.4, 0.8, 1, 1.01, 1.5, 1.6, 2, 2.01, 2.5, 2.6, 3, 3.01, 5, 5.01, 6, 6.1, 10.5, 20, 20.1]
LEVELS = {"ALB": [19.9, 20, 25, 29.9, 30, 34.9, 35, 40, 47], "PLT": [24, 25, 49, 50, 74, 75, 149, 150, 220]}


def random_cohort(seed: int, size: int) -> dict[str, pd.DataFrame]:
    """Return ADSL, ADEX, ADAE (empty) and ADLB of a few patients; bounds, gaps and the day of RFA among the results."""
    rng = np.random.default_rng(seed)
    day = np.timedelta64(1, "D")
    people, doses, results = [], [], []
    for number in range(size):
        subject, rfa = f"p{number:02d}", np.datetime64("2015-01-01") + int(rng.integers(0, 500)) * day
        last = int(rng.integers(30, 900))
        recurrence = int(rng.integers(20, last + 1)) if rng.random() < 0.4 else None
        start = int(rng.integers(3, 70))
        exposed = rng.random() < 0.5 and start < min(last, recurrence or last)
        later = not exposed and recurrence is not None and recurrence + 5 < last and rng.random() < 0.5
        if exposed or later:
            first = start if exposed else recurrence + 5
            stop = int(rng.integers(first, last + 1))
            doses.append((subject, rfa + first * day, rfa + stop * day, 400.0))
            if stop < last and rng.random() < 0.3:  # an interruption, never resumed
                doses.append((subject, rfa + (stop + 1) * day, rfa + last * day, 0.0))
            elif exposed and recurrence is not None and stop + 5 < recurrence < last - 5:  # given again for it
                doses.append((subject, rfa + (recurrence + 5) * day, rfa + last * day, 400.0))
        landmark = last >= 60 and (recurrence is None or recurrence > 60)
        people.append(
            {
                "USUBJID": subject,
                "EXPOSFL": "Y" if exposed else "N",
                "TRTSDT": rfa,
                "LSTALVDT": rfa + last * day,
                "DTHDT": rfa + last * day if rng.random() < 0.4 else pd.NaT,
                "RECDT": pd.NaT if recurrence is None else rfa + recurrence * day,
                "LMFL": "Y" if landmark else "N",
                "LMTRT": (SORAFENIB if exposed and start <= 60 else CONTROL) if landmark else pd.NA,
                "ALBISC": pd.NA if rng.random() < 0.15 else rng.choice([-3.0, -2.6, -2.59, -2.0, -1.2]),
            }
        )
        days = [-3, 0, *np.unique(rng.integers(1, last + 40, int(rng.integers(1, 8)))).tolist()]
        near = {d: rng.random() < 0.2 for d in days}
        for test in (*ULN, *LEVELS):
            no_base = rng.random() < 0.2
            base = float(rng.choice([0.5, 1, 1.2, 2.0])) * ULN.get(test, 40.0)
            for d in days:
                if rng.random() < 0.25:
                    continue
                value = float(rng.choice(LEVELS[test])) if test in LEVELS else float(rng.choice(MULTIPLES)) * ULN[test]
                uln = pd.NA if rng.random() < 0.1 else ULN.get(test, 300.0)
                results.append(
                    {
                        "USUBJID": subject,
                        "PARAMCD": test,
                        "ADT": rfa + d * day,
                        "ADY": d + 1 if d >= 0 else d,
                        "AVAL": value,
                        "ANRHI": uln,
                        "BASE": pd.NA if no_base else base,
                        "ATOXGR": pd.NA if test == "AFP" or uln is pd.NA else int(rng.integers(0, 5)),
                        "BTOXGR": pd.NA if no_base or test == "AFP" else number % 3,
                        "PERIRFFL": "Y" if near[d] and d > 0 else "N",
                        "SRCFILE": "labs.csv",
                        "SRCSHEET": pd.NA,
                        "SRCROW": len(results) + 2,
                    }
                )
    dates = dict.fromkeys(("TRTSDT", "LSTALVDT", "DTHDT", "RECDT", "ADT", "EXSTDT", "EXENDT"), "datetime64[s]")
    numeric = dict.fromkeys(("ALBISC", "AVAL", "ANRHI", "BASE", "EXDOSE"), "Float64")
    whole = dict.fromkeys(("ADY", "ATOXGR", "BTOXGR", "SRCROW", "EXSEQ"), "Int64")
    columns = [
        "USUBJID", "PARAMCD", "ADT", "ADY", "AVAL", "ANRHI", "BASE", "ATOXGR", "BTOXGR", "PERIRFFL", "SRCFILE",
        "SRCSHEET", "SRCROW",
    ]  # fmt: skip
    frames = {
        "adsl": pd.DataFrame(people),
        "adex": pd.DataFrame(
            [(subject, number, *dose) for number, (subject, *dose) in enumerate(doses, start=1)],
            columns=["USUBJID", "EXSEQ", "EXSTDT", "EXENDT", "EXDOSE"],
        ),
        "adlb": pd.DataFrame(results, columns=columns),
        "adae": pd.DataFrame(columns=["USUBJID", "ASTDT", "TRTEMFL", "ATOXGR"]).astype({"ASTDT": "datetime64[s]"}),
    }
    kinds = dates | numeric | whole
    return {
        name: frame.astype({column: kinds.get(column, "string") for column in frame}) for name, frame in frames.items()
    }


SQL = """
CREATE MACRO above(v, u, k) AS round(v, 9) > round(k * u, 9);
CREATE MACRO grade(t, v, u) AS CASE
  WHEN t IN ('ALT', 'AST', 'ALP', 'BILI', 'CREA') AND u IS NULL THEN NULL
  WHEN t IN ('ALT', 'AST') THEN above(v, u, 1)::INT + above(v, u, 3)::INT + above(v, u, 5)::INT + above(v, u, 20)::INT
  WHEN t = 'ALP' THEN above(v, u, 1)::INT + above(v, u, 2.5)::INT + above(v, u, 5)::INT + above(v, u, 20)::INT
  WHEN t = 'BILI' THEN above(v, u, 1)::INT + above(v, u, 1.5)::INT + above(v, u, 3)::INT + above(v, u, 10)::INT
  WHEN t = 'CREA' THEN above(v, u, 1)::INT + above(v, u, 1.5)::INT + above(v, u, 3)::INT + above(v, u, 6)::INT
  WHEN t = 'INR' THEN (v > 1.2)::INT + (v > 1.5)::INT + (v > 2.5)::INT
  WHEN t = 'ALB' THEN (v < 35)::INT + (v < 30)::INT + (v < 20)::INT
  WHEN t = 'PLT' THEN (v < 150)::INT + (v < 75)::INT + (v < 50)::INT + (v < 25)::INT
END;
CREATE MACRO albi_grade(s) AS CASE WHEN s <= -2.60 THEN 1 WHEN s <= -1.39 THEN 2 WHEN s > -1.39 THEN 3 END;
CREATE MACRO said(g) AS coalesce('g' || g, 'missing');

CREATE TABLE people AS
SELECT s.USUBJID AS id, CASE EXPOSFL WHEN 'Y' THEN 'exposed' ELSE 'unexposed' END AS grp,
  CASE EXPOSFL WHEN 'Y' THEN d.first ELSE TRTSDT END AS begins,
  least(coalesce(RECDT, TIMESTAMP '2100-01-01'),
  CASE EXPOSFL WHEN 'Y' THEN least(d.last + INTERVAL {days} DAY, coalesce(DTHDT, LSTALVDT))
       ELSE least(coalesce(d.first - INTERVAL 1 DAY, coalesce(DTHDT, LSTALVDT)), coalesce(DTHDT, LSTALVDT)) END) AS ends
FROM adsl s LEFT JOIN
  (SELECT USUBJID, min(EXSTDT) AS first, max(EXENDT) FILTER (coalesce(EXSTDT < RECDT, true)) AS last
   FROM adex JOIN adsl USING (USUBJID) WHERE EXDOSE > 0 GROUP BY 1) d USING (USUBJID);

CREATE TABLE risk AS
SELECT id, grp, lower(PARAMCD) AS test, PARAMCD AS t, ADT, AVAL AS v, ANRHI AS u, BASE AS b, ATOXGR,
  PERIRFFL = 'Y' AS near
FROM adlb JOIN people ON USUBJID = id WHERE ADY > 1 AND ADT BETWEEN begins AND ends;

CREATE TABLE shifts AS
SELECT id, grp, lower(t) AS test, b.g AS base, w.g AS worst
FROM people CROSS JOIN (SELECT DISTINCT PARAMCD AS t FROM adlb WHERE PARAMCD <> 'AFP')
LEFT JOIN (SELECT USUBJID AS id, PARAMCD AS t, max(BTOXGR) AS g FROM adlb GROUP BY ALL) b USING (id, t)
LEFT JOIN (SELECT id, t, max(grade(t, v, u)) AS g FROM risk WHERE NOT near GROUP BY ALL) w USING (id, t);

CREATE TABLE multiples AS
SELECT *, 'uln' AS scale, round(v / u, 9) AS m, '' AS suffix FROM risk WHERE u > 0 AND NOT near
UNION ALL SELECT *, 'baseline', round(v / greatest(u, b), 9), '' FROM risk
  WHERE u > 0 AND b IS NOT NULL AND NOT near
UNION ALL SELECT *, 'uln', round(v / u, 9), '_with_peri_rfa' FROM risk WHERE u > 0
UNION ALL SELECT *, 'baseline', round(v / greatest(u, b), 9), '_with_peri_rfa' FROM risk WHERE u > 0 AND b IS NOT NULL;

CREATE TABLE peaks AS
SELECT suffix, scale, grp, id, max(m) FILTER (t IN ('ALT', 'AST')) AS x, max(m) FILTER (t = 'BILI') AS y
FROM multiples GROUP BY ALL HAVING x IS NOT NULL AND y IS NOT NULL;

CREATE TABLE rises AS
SELECT DISTINCT e.suffix, e.scale, e.grp, e.id, e.ADT,
  (SELECT arg_max(a.m, a.ADT) FROM multiples a WHERE a.t = 'ALP' AND a.id = e.id AND a.scale = e.scale
   AND a.suffix = e.suffix AND a.ADT BETWEEN e.ADT - INTERVAL 30 DAY AND e.ADT) AS alp
FROM multiples e JOIN multiples k USING (suffix, scale, id)
WHERE e.t IN ('ALT', 'AST') AND e.m >= 3 AND k.t = 'BILI' AND k.m > 2
  AND k.ADT BETWEEN e.ADT AND e.ADT + INTERVAL 30 DAY;

CREATE TABLE scores AS
SELECT a.USUBJID AS id, a.ADT, a.ADY, a.PERIRFFL = 'Y' AS near, 0.66 * log10(b.AVAL) - 0.085 * a.AVAL AS score
FROM adlb a JOIN adlb b ON a.USUBJID = b.USUBJID AND a.ADT = b.ADT WHERE a.PARAMCD = 'ALB' AND b.PARAMCD = 'BILI';

CREATE TABLE compared AS
SELECT USUBJID AS id, CASE LMTRT WHEN '{sorafenib}' THEN 'sorafenib' ELSE 'control' END AS arm, ALBISC AS base,
  albi_grade(ALBISC) AS base_grade, TRTSDT, RECDT,
  CASE WHEN RECDT IS NULL THEN DTHDT END AS death
FROM adsl WHERE LMFL = 'Y' AND ALBISC IS NOT NULL;

CREATE TABLE followed AS
SELECT c.*, s.ADT, albi_grade(score) > base_grade AS worse,
  lead(albi_grade(score) > base_grade) OVER (PARTITION BY id ORDER BY s.ADT) AS next_worse
FROM compared c JOIN scores s USING (id)
WHERE NOT near AND s.ADT >= TRTSDT + INTERVAL {landmark} DAY AND coalesce(s.ADT <= RECDT, true);
"""

COUNTED = """
SELECT 'shift.' || grp || '.' || test || '.' || said(base) || '_to_' || said(worst) || '.n' AS ard, id FROM shifts
UNION ALL SELECT 'shift.' || grp || '.' || test || '.from_' || said(base) || '.n', id FROM shifts
UNION ALL SELECT 'shift.' || grp || '.' || test || '.to_' || said(worst) || '.n', id FROM shifts
UNION ALL SELECT 'shift.' || grp || '.' || test || '.total', id FROM shifts WHERE base + worst IS NOT NULL
UNION ALL SELECT 'shift.' || grp || '.' || test || '.worse_1.n', id FROM shifts WHERE worst - base >= 1
UNION ALL SELECT 'shift.' || grp || '.' || test || '.worse_2.n', id FROM shifts WHERE worst - base >= 2
UNION ALL SELECT 'shift.' || grp || '.' || test || '.unchanged.n', id FROM shifts WHERE worst = base
UNION ALL SELECT 'shift.' || grp || '.' || test || '.better.n', id FROM shifts WHERE worst < base
UNION ALL SELECT DISTINCT 'lab.' || grp || '.' || test || '.total', id FROM risk WHERE NOT near AND ATOXGR IS NOT NULL
UNION ALL SELECT DISTINCT 'lab.' || grp || '.' || test || '.grade_3_4.n', id FROM risk WHERE NOT near AND ATOXGR >= 3
UNION ALL SELECT 'edish' || suffix || '.' || grp || '.' || scale || '.total', id FROM peaks
UNION ALL SELECT 'hy' || suffix || '.' || grp || '.' || scale || '.total', id FROM peaks
UNION ALL SELECT 'edish' || f.suffix || '.' || grp || '.' || sc.scale || '.not_placed', id
  FROM people, (VALUES ('uln'), ('baseline')) sc(scale), (VALUES (''), ('_with_peri_rfa')) f(suffix)
  WHERE NOT EXISTS (FROM peaks k WHERE k.id = people.id AND k.scale = sc.scale AND k.suffix = f.suffix)
UNION ALL SELECT 'edish' || suffix || '.' || grp || '.' || scale || '.' || CASE
  WHEN x >= 3 AND y > 2 THEN 'potential_hy'
  WHEN x >= 3 THEN 'temple' WHEN y > 2 THEN 'hyperbilirubinaemia' ELSE 'normal' END || '.n', id FROM peaks
UNION ALL SELECT DISTINCT 'hy' || suffix || '.' || grp || '.' || scale || '.concurrent.n', id FROM rises
UNION ALL SELECT 'hy' || suffix || '.' || grp || '.' || scale || '.' || CASE
  WHEN min(alp) < 2 THEN 'without_cholestasis' WHEN min(alp) >= 2 THEN 'with_cholestasis' ELSE 'alp_unknown' END
  || '.n', id FROM rises GROUP BY suffix, grp, scale, id
UNION ALL SELECT DISTINCT 'lab.' || grp || '.albi.total', p.id FROM scores s JOIN people p USING (id)
  JOIN adsl ON USUBJID = p.id WHERE NOT near AND ADY > 1 AND ADT BETWEEN begins AND ends AND ALBISC IS NOT NULL
UNION ALL SELECT DISTINCT 'lab.' || grp || '.albi.worsened.n', p.id FROM scores s JOIN people p USING (id)
  JOIN adsl ON USUBJID = p.id WHERE NOT near AND ADY > 1 AND ADT BETWEEN begins AND ends
  AND albi_grade(score) > albi_grade(ALBISC)
UNION ALL SELECT 'albi_worsening.' || arm || '.n', id FROM compared WHERE base_grade < 3
UNION ALL SELECT 'albi_worsening.' || arm || '.grade_3_at_baseline', id FROM compared WHERE base_grade = 3
UNION ALL SELECT DISTINCT 'albi_worsening.' || arm || '.events', id FROM followed
  WHERE base_grade < 3 AND worse AND coalesce(ADT <= death, true)
UNION ALL SELECT 'albi_worsening.' || arm || '.deaths', id FROM compared c WHERE base_grade < 3 AND death IS NOT NULL
  AND NOT EXISTS (FROM followed f WHERE f.id = c.id AND worse AND f.ADT <= c.death)
UNION ALL SELECT 'albi_worsening_death_90_days.' || arm || '.deaths', id FROM compared c
  WHERE base_grade < 3 AND death <= INTERVAL 90 DAY + coalesce(
    (SELECT max(f.ADT) FROM followed f WHERE f.id = c.id), TRTSDT + INTERVAL {landmark} DAY)
  AND NOT EXISTS (FROM followed f WHERE f.id = c.id AND worse AND f.ADT <= c.death)
UNION ALL SELECT DISTINCT 'albi_worsening_confirmed.' || arm || '.events', id FROM followed
  WHERE base_grade < 3 AND worse AND next_worse AND coalesce(ADT <= death, true)
UNION ALL SELECT DISTINCT 'albi_course.' || arm || '.n', id FROM followed
  WHERE date_diff('day', TRTSDT, ADT) <= {last_months} * 30.4375
"""

RESULTS = """
SELECT 'results.' || grp || '.' || test || '.results' AS ard, count(*) AS n FROM risk GROUP BY grp, test
UNION ALL SELECT 'results.' || grp || '.' || test || '.near_rfa', count(*) FROM risk WHERE near GROUP BY grp, test
UNION ALL SELECT 'results.' || grp || '.' || test || '.without_uln', count(*) FROM risk
  WHERE NOT near AND u IS NULL GROUP BY grp, test
UNION ALL SELECT 'albi_course.' || arm || '.scores', count(*) FROM followed
  WHERE date_diff('day', TRTSDT, ADT) <= {last_months} * 30.4375 GROUP BY arm
"""

YEARS = """
SELECT 'liver.observation.' || grp || '.patient_years', sum(greatest(date_diff('day', begins, ends) + 1, 0)) / 365.25
FROM people GROUP BY grp
"""


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 14))
def test_everyone_counted_is_who_a_query_of_adam_finds(seed, size):
    adam = random_cohort(seed, size)
    made = estimate_liver(**adam, plan=PLAN, cohort_name="synthetic", record="r")
    months = sorted(PLAN.liver.albi_months)
    words = {
        "days": PLAN.treatment_emergent_days,
        "landmark": PLAN.landmark_day,
        "sorafenib": SORAFENIB,
        # half a gap beyond the last planned month
        "last_months": months[-1] + (months[-1] - months[-2]) / 2,
    }
    with duckdb.connect(config={"threads": 1}) as sql:
        for name in ("adsl", "adex", "adlb"):
            frame = adam[name]
            sql.register(name, frame.astype({c: object for c in frame if str(frame[c].dtype) == "string"}))
        sql.execute(SQL.format(**words))
        patients = sql.execute(COUNTED.format(**words)).df()
        rows = dict(sql.execute(RESULTS.format(**words)).fetchall())
        years = dict(sql.execute(YEARS).fetchall())
    assert made.ard.set_index("ard_id")["value"].loc[list(years)].to_dict() == pytest.approx(years)
    values = made.ard.assign(ard=made.ard["ard_id"].str.removeprefix("liver.")).set_index("ard")["value"]
    members = made.members.assign(ard=made.members["ard_id"].str.removeprefix("liver."))
    # tests that nobody has while at risk have no shift table
    shown = patients["ard"].isin(values.index)
    left_out = patients.loc[~shown, "ard"]
    assert left_out.str.match(r"shift\.\w+\.\w+\.(?:\w+_to_missing|from_\w+|to_missing)\.n").all(), set(left_out)
    found = patients[shown].groupby("ard")["id"].agg(lambda ids: sorted(ids)).to_dict()
    kinds = r"(?:shift|lab|edish\w*|hy\w*|albi_worsening)\..*\.(?:n|total|not_placed)|albi_worsening\.\w+\.\w+"
    kinds += r"|albi_worsening_confirmed\.\w+\.events|albi_course\.(?:sorafenib|control)\.n"
    kinds += r"|albi_worsening_death_90_days\.\w+\.deaths"
    ours = {ard: sorted(own["USUBJID"]) for ard, own in members[members["ard"].str.fullmatch(kinds)].groupby("ard")}
    ours = {ard: who for ard, who in ours.items() if not ard.endswith("without_score")}
    assert ours == found
    assert all(values[ard] == len(who) for ard, who in ours.items())
    assert {ard: values[ard] for ard in rows} == rows
    counts = values[values.index.str.fullmatch(r"results\..*\.(?:results|near_rfa|without_uln)")]
    assert counts.sum() == sum(n for ard, n in rows.items() if ard.startswith("results"))


def test_the_random_cohorts_hold_what_the_recount_is_about():
    """A recount of nothing would prove nothing: over the seeds, every kind of count is somewhere above zero."""
    seen: set[str] = set()
    for seed in range(2):
        made = estimate_liver(**random_cohort(seed, 90), plan=PLAN, cohort_name="synthetic", record="r")
        seen |= set(made.members["ard_id"].str.removeprefix("liver."))
    for needed in (
        "edish.exposed.uln.potential_hy.n", "edish.unexposed.baseline.temple.n", "hy.exposed.uln.with_cholestasis.n",
        "hy.unexposed.uln.without_cholestasis.n", "hy.exposed.uln.alp_unknown.n", "edish.exposed.baseline.not_placed",
        "shift.exposed.alt.missing_to_g4.n", "shift.unexposed.plt.g2_to_missing.n", "shift.exposed.bili.better.n",
        "results.exposed.alt.without_uln", "results.unexposed.bili.near_rfa", "albi_worsening.sorafenib.events",
        "albi_worsening_confirmed.control.events", "albi_worsening.control.deaths",
        "albi_worsening_death_90_days.control.deaths", "lab.exposed.albi.worsened.n",
    ):  # fmt: skip
        assert needed in seen, needed
