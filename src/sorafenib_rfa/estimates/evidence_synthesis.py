"""Meta-analyses of published hazard ratios: one setting, one group of designs, one endpoint at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from sorafenib_rfa.config.models import EvidencePlan, Plan, Synthesis
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates, ard_id
from sorafenib_rfa.estimates.common import NAN, attempt
from sorafenib_rfa.estimates.evidence_common import ENDPOINTS, STUDIES, evidence_plan, listed, members
from sorafenib_rfa.estimates.evidence_selection import pooled_rows, select_effects
from sorafenib_rfa.evidence.consistency import FROM_P
from sorafenib_rfa.evidence.tables import Evidence
from sorafenib_rfa.stats.meta_analysis import (
    MetaAnalysis,
    Pooled,
    cumulative,
    egger_test,
    leave_one_out,
    meta_analysis,
)

META = "sorafenib_rfa.stats.meta_analysis"
ENGINE = "sorafenib_rfa.estimates.evidence_synthesis"
UNVERIFIED = "with_unverified"
HEADLINE = "headline"

_COMMON = "common effect, inverse variance, Wald interval"
_RANDOM = "random effects, tau squared by restricted maximum likelihood, Hartung-Knapp interval"

_POOLED_COLUMNS = [
    *("synthesis_id", "title", "setting", "design_group", "endpoint", "endpoint_label", "scope", "model", "k"),
    *("hr", "lo", "hi", "p", "prediction_lo", "prediction_hi", "tau2", "i2", "q", "q_p", "reason", "ard_id"),
    *("prediction_id", "tau2_id", "i2_id", "q_id", "k_id"),
]
_STEP_COLUMNS = [
    *("synthesis_id", "scope", "step", "study_id", "label", "year", "k", "hr", "lo", "hi"),
    *("common_hr", "common_lo", "common_hi", "ard_id", "common_id"),
]
_SMALL_COLUMNS = [
    *("synthesis_id", "scope", "study_id", "label", "log_hr", "se", "verified"),
    *("egger_intercept", "egger_slope", "ard_id"),
]


def estimate_synthesis(evidence: Evidence, plan: Plan, cohort_name: str, record: str) -> Estimates:
    """Pool published hazard ratios, each declared synthesis with verified figures and with unverified ones too.

    Parameters
    ----------
    evidence : Evidence
        The tables of published studies.
    plan : Plan
        Its ``evidence`` and ``confidence_level``.
    cohort_name : str
        Name under which the results stand.
    record : str
        Path of the job record.

    Returns
    -------
    Estimates
        ARD part ``synthesis``. Ids are ``synthesis.<id>.<stat>`` with verified standard errors and
        ``synthesis.<id>.with_unverified.<stat>`` with recalled ones too; stats ``k, single_hr`` (one study: its own
        estimate, not pooled)``, common_hr, random_hr, prediction, q, tau2, i2, egger, leave_out_lowest_hr,
        leave_out_highest_hr``, all of them always, missing with the reason where they cannot be had; and, where there
        are studies enough, ``<study>.weight_common|weight_random``, ``leave_out_<study>.*`` and ``upto_<study>.*``.
        ``synthesis.<id>.reporting|without_effect`` count the studies that report the endpoint, and those of them
        without a usable effect.

        Curves: ``evidence_pooled`` (a row a synthesis, scope and model: common, random; single where k = 1),
        ``evidence_cumulative``, ``evidence_leave_one_out`` (random effects, and common beside)``,
        evidence_small_studies`` (empty below the plan's number of studies).
    """
    settings = evidence_plan(plan)
    selected = select_effects(evidence, plan)
    ard = ArdBuilder(cohort_name, "synthesis", record)
    curves: dict[str, list[dict]] = {"pooled": [], "cumulative": [], "leave_one_out": [], "small_studies": []}
    for name, synthesis in settings.syntheses.items():
        _add_reporting(ard, name, synthesis, selected)
        for scope in (HEADLINE, UNVERIFIED):
            rows = pooled_rows(selected, name, synthesis, unverified=scope == UNVERIFIED)
            _Part(ard, curves, name, synthesis, scope, rows, settings, plan.confidence_level).add()
    columns = {
        "pooled": _POOLED_COLUMNS,
        "cumulative": _STEP_COLUMNS,
        "leave_one_out": _STEP_COLUMNS,
        "small_studies": _SMALL_COLUMNS,
    }
    return ard.estimates({f"evidence_{name}": _curve(rows, columns[name]) for name, rows in curves.items()})


_TEXTS = frozenset(
    {"synthesis_id", "title", "setting", "design_group", "endpoint", "endpoint_label", "scope", "model", "reason"}
    | {"study_id", "label", "ard_id", "common_id", "prediction_id", "tau2_id", "i2_id", "q_id", "k_id"}
)


def _curve(rows: list[dict], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns)
    for column in columns:
        if column == "verified":
            frame[column] = frame[column].astype(bool)
        else:
            frame[column] = frame[column].astype("string" if column in _TEXTS else "float64")
    return frame


def _add_reporting(ard: ArdBuilder, name: str, synthesis: Synthesis, selected: pd.DataFrame) -> None:
    """Count the studies that report the endpoint, and those that no synthesis can take, of the whole trial."""
    reporting = selected[(selected["synthesis_id"] == name) & selected["look_no"].notna()]
    within = reporting.assign(usable=reporting["pooled_in_all"].ne(""))
    each = within.sort_values("usable").drop_duplicates("study_id", keep="last").sort_values(["year", "study_id"])
    without = each[~each["usable"]]
    words = f"{synthesis.title}: studies of this setting and group of designs"
    for stat, rows, what in (
        ("reporting", each, f"{words} with a row for this endpoint"),
        ("without_effect", without, f"{words} with a row for this endpoint and no effect that can be pooled"),
    ):
        named = f": {listed(rows['label'])}" if len(rows) else ""
        ard.add(
            name,
            stat,
            len(rows),
            unit="count",
            method=f"{what}{named}",
            engine=ENGINE,
            population=STUDIES,
            members=members(rows, "study_id"),
        )
    if len(each) - len(without) != (selected["pooled_in_all"] == name).sum():
        raise ValueError(f"{name}: studies with and without a usable effect are not those that report the endpoint")


@dataclass
class _Part:
    """One synthesis in one scope: its effects, and where its rows go."""

    ard: ArdBuilder
    curves: dict[str, list[dict]]
    name: str
    synthesis: Synthesis
    scope: str
    rows: pd.DataFrame
    settings: EvidencePlan
    level: float

    @property
    def k(self) -> int:
        """Number of studies."""
        return len(self.rows)

    def add(self) -> None:
        """Add all rows of this synthesis."""
        pooled, why = None, self._too_few()
        if not why:
            pooled, why = attempt(meta_analysis, *self._numbers(self.rows), **self._options())
        k_id = self._add_k("", self.rows, self._words(self.rows))
        single = self._add_single()
        self._add_summaries(pooled, why, k_id, single)
        self._add_weights(pooled)
        self._add_left_out()
        self._add_cumulative()
        self._add_small_studies()

    # --- what the rows are called and say ---------------------------------------------------------

    def _place(self, variable: str = "") -> dict[str, str | None]:
        """Return variable and level of a row's id, below those of the scope."""
        if self.scope == HEADLINE:
            return {"variable": variable, "level": None}
        return {"variable": UNVERIFIED, "level": variable or None}

    def _scope_words(self) -> str:
        if self.scope == HEADLINE:
            return "verified standard errors only"
        return "sensitivity analysis, standard errors from recalled figures included"

    def _words(self, rows: pd.DataFrame) -> str:
        columns = zip(rows["label"], rows["year"], rows["basis"], strict=True)
        named = [f"{label} {year:.0f} ({basis})" for label, year, basis in columns]
        return f"{self.synthesis.title}; {self._scope_words()}" + (f": {listed(named)}" if named else "")

    def _too_few(self) -> str:
        if self.k == 0:
            if self.scope == HEADLINE:
                return "not estimable: no study has a verified effect"
            return "not estimable: no study has an effect with a standard error, verified or recalled"
        if self.k == 1:
            return f"not estimable: one study ({self.rows['label'].iloc[0]}), nothing to pool"
        return ""

    def _options(self) -> dict[str, float | bool]:
        return {"level": self.level, "at_least_wald": self.settings.at_least_wald}

    @staticmethod
    def _numbers(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, list[str]]:
        return rows["log_estimate"].to_numpy(dtype=float), rows["se"].to_numpy(dtype=float), rows["study_id"].tolist()

    def _random_words(self, pooled: MetaAnalysis) -> str:
        words = f"{_RANDOM} from t on {pooled.k - 1} degree{'s' * (pooled.k > 2)} of freedom"
        if self.settings.at_least_wald:
            words += ", its standard error at least Wald's"
        words += f" (variance {pooled.hartung_knapp_factor:.2f} times Wald's before that)"
        if pooled.k == 2:
            words += "; with two studies t has one degree of freedom, and the interval is very wide"
        return words

    # --- rows --------------------------------------------------------------------------------------

    def _add_k(self, variable: str, rows: pd.DataFrame, words: str) -> str:
        return self.ard.add(
            self.name,
            "k",
            len(rows),
            unit="count",
            method=f"studies: {words}",
            engine=ENGINE,
            population=STUDIES,
            members=members(rows, "study_id"),
            **self._place(variable),
        )

    def _add_ratio(self, stat: str, result: Pooled | None, method: str, variable: str = "") -> str:
        known = result is not None
        return self.ard.add(
            self.name,
            stat,
            math.exp(result.estimate) if known else NAN,
            ci_low=math.exp(result.ci_low) if known else NAN,
            ci_high=math.exp(result.ci_high) if known else NAN,
            p_value=result.p if known else NAN,
            unit="ratio",
            method=method,
            engine=META,
            population=STUDIES,
            **self._place(variable),
        )

    def _add_single(self) -> dict | None:
        """Add the row of a synthesis of one study: its own estimate; return its numbers."""
        if self.k != 1:
            few = "no study" if self.k == 0 else f"{self.k} studies, which are pooled"
            self.ard.add(
                self.name,
                "single_hr",
                NAN,
                unit="ratio",
                method=f"not estimable: not one study but {few}",
                engine=ENGINE,
                population=STUDIES,
                **self._place(),
            )
            return None
        row = self.rows.iloc[0]
        numbers = {"hr": row["estimate"], "lo": row["lo"], "hi": row["hi"]}
        numbers["p"] = _two_sided(row["log_estimate"], row["se"])
        identifier = self.ard.add(
            self.name,
            "single_hr",
            row["estimate"],
            ci_low=row["lo"],
            ci_high=row["hi"],
            p_value=numbers["p"],
            unit="ratio",
            method=f"one study, not pooled; {self._words(self.rows)}; its own estimate and "
            f"{row['level_drawn']:g} % interval, two-sided p from estimate and standard error",
            engine=ENGINE,
            population=STUDIES,
            **self._place(),
        )
        return numbers | {"ard_id": identifier}

    def _add_summaries(self, pooled: MetaAnalysis | None, why: str, k_id: str, single: dict | None) -> None:
        """Add the pooled ratios, prediction and heterogeneity, and their rows of the curve."""
        words = self._words(self.rows)
        common_id = self._add_ratio("common_hr", pooled and pooled.common, why or f"{words}; {_COMMON}")
        random_id = self._add_ratio(
            "random_hr", pooled and pooled.random, why or f"{words}; {self._random_words(pooled)}"
        )
        prediction, prediction_id = self._add_prediction(pooled, why, words)
        ids = {"k_id": k_id, "prediction_id": prediction_id}
        for stat, unit, method in (
            ("q", "statistic", f"Cochran's Q on {self.k - 1} df"),
            ("tau2", "statistic", "variance of log hazard ratios between studies, REML; Q-profile interval"),
            ("i2", "percent", "I squared: share of the variance that is between studies, from tau squared by REML"),
        ):
            low = high = NAN
            if pooled is not None and stat != "q":
                low, high = getattr(pooled, f"{stat}_low"), getattr(pooled, f"{stat}_high")
            ids[f"{stat}_id"] = self.ard.add(
                self.name,
                stat,
                NAN if pooled is None else getattr(pooled, stat),
                ci_low=low,
                ci_high=high,
                p_value=pooled.q_p if pooled is not None and stat == "q" else NAN,
                unit=unit,
                method=why or f"{words}; {method}",
                engine=META,
                population=STUDIES,
                **self._place(),
            )
        shared = {
            "synthesis_id": self.name,
            "title": self.synthesis.title,
            "setting": self.synthesis.setting,
            "design_group": self.synthesis.design_group,
            "endpoint": self.synthesis.endpoint,
            "endpoint_label": ENDPOINTS[self.synthesis.endpoint],
            "scope": self.scope,
            "k": self.k,
            "reason": why.removeprefix("not estimable: "),
            **ids,
        }
        heterogeneity = {} if pooled is None else {name: getattr(pooled, name) for name in ("tau2", "i2", "q", "q_p")}
        for model, identifier in (("common", common_id), ("random", random_id)):
            own = {"model": model, "ard_id": identifier}
            if pooled is not None:
                own |= heterogeneity | _ratio_of(getattr(pooled, model))
                if model == "random":
                    own |= {"prediction_lo": prediction[0], "prediction_hi": prediction[1]}
            self.curves["pooled"].append(shared | own)
        if single is not None:
            self.curves["pooled"].append(shared | {"model": "single"} | single)

    def _add_prediction(self, pooled: MetaAnalysis | None, why: str, words: str) -> tuple[tuple[float, float], str]:
        least = self.settings.prediction_min_studies
        if not why and self.k < least:
            why = f"not estimable: a prediction interval takes {least} studies, here {self.k}"
        low, high = (NAN, NAN) if why else (math.exp(pooled.prediction_low), math.exp(pooled.prediction_high))
        identifier = self.ard.add(
            self.name,
            "prediction",
            NAN if why else math.exp(pooled.random.estimate),
            ci_low=low,
            ci_high=high,
            unit="ratio",
            method=why
            or f"{words}; where the hazard ratio of a new study is expected: prediction interval from t on "
            f"{self.k - 1} df with the Hartung-Knapp variance",
            engine=META,
            population=STUDIES,
            **self._place(),
        )
        return (low, high), identifier

    def _add_weights(self, pooled: MetaAnalysis | None) -> None:
        if pooled is None:
            return
        words = self._words(self.rows)
        for model in ("common", "random"):
            shares = getattr(pooled, f"weights_{model}")
            for study, label, share in zip(self.rows["study_id"], self.rows["label"], shares, strict=True):
                self.ard.add(
                    self.name,
                    f"weight_{model}",
                    share,
                    unit="percent",
                    method=f"{words}; share of {label} in the {model}-effect{'s' * (model == 'random')} estimate",
                    engine=META,
                    population=STUDIES,
                    **self._place(study),
                )

    def _add_step(self, variable: str, rows: pd.DataFrame, pooled: MetaAnalysis, words: str) -> dict:
        """Add a synthesis of some of the studies; return its numbers for a curve."""
        self._add_k(variable, rows, f"{words}: {self._words(rows)}")
        identifier = self._add_ratio(
            "random_hr", pooled.random, f"{words}: {self._words(rows)}; {self._random_words(pooled)}", variable
        )
        common_id = self._add_ratio("common_hr", pooled.common, f"{words}: {self._words(rows)}; {_COMMON}", variable)
        beside = {f"common_{key}": value for key, value in _ratio_of(pooled.common).items() if key != "p"}
        numbers = {key: value for key, value in _ratio_of(pooled.random).items() if key != "p"}
        return {
            "synthesis_id": self.name,
            "scope": self.scope,
            "k": len(rows),
            **numbers,
            **beside,
            "ard_id": identifier,
            "common_id": common_id,
        }

    def _add_left_out(self) -> None:
        """Add the synthesis without each study in turn, and the lowest and the highest of them."""
        least = self.settings.leave_one_out_min_studies
        done: Sequence[MetaAnalysis] | None = None
        why = self._too_few()
        if not why and self.k < least:
            why = f"not estimable: of {self.k} studies one left out leaves one study, nothing to pool"
            if self.k > 2:
                why = f"not estimable: leaving one out takes {least} studies, here {self.k}"
        if not why:
            done, why = attempt(leave_one_out, *self._numbers(self.rows), **self._options())
        for j, pooled in enumerate(done or ()):
            row = self.rows.iloc[j]
            numbers = self._add_step(
                f"leave_out_{row['study_id']}",
                self.rows.drop(index=j),
                pooled,
                f"without {row['label']}",
            )
            self.curves["leave_one_out"].append(
                numbers | {"step": j + 1} | {name: row[name] for name in ("study_id", "label", "year")}
            )
        ranked = sorted(done or (), key=lambda pooled: pooled.random.estimate)
        for stat, which in (("leave_out_lowest_hr", 0), ("leave_out_highest_hr", -1)):
            chosen = ranked[which] if ranked else None
            left = None if chosen is None else (set(self.rows["study_id"]) - set(chosen.labels)).pop()
            label = "" if left is None else self.rows.set_index("study_id")["label"][left]
            self._add_ratio(
                stat,
                chosen and chosen.random,
                why
                or f"{'lowest' if which == 0 else 'highest'} of the estimates with one study left out: "
                f"without {label}; {self._words(self.rows)}; {self._random_words(chosen)}",
            )

    def _add_cumulative(self) -> None:
        """Add the synthesis as it stood after each study, in the order of their years."""
        if self.k < 2:
            return
        done, why = attempt(cumulative, *self._numbers(self.rows), **self._options())
        if why:
            return
        first = self.rows.iloc[0]
        own_id = counted_effect(first["effect_id"], first["basis"])
        own = {"hr": first["estimate"], "lo": first["lo"], "hi": first["hi"]}
        steps = [
            {
                "synthesis_id": self.name,
                "scope": self.scope,
                "k": 1,
                **own,
                **{f"common_{key}": value for key, value in own.items()},
                "ard_id": own_id,
                "common_id": own_id,
            }
        ]
        for j, pooled in enumerate(done):
            last = self.rows.iloc[j + 1]
            steps.append(
                self._add_step(
                    f"upto_{last['study_id']}",
                    self.rows.iloc[: j + 2],
                    pooled,
                    f"studies up to {last['label']} {last['year']:.0f}",
                )
            )
        for j, step in enumerate(steps):
            row = self.rows.iloc[j]
            self.curves["cumulative"].append(
                step | {"step": j + 1} | {name: row[name] for name in ("study_id", "label", "year")}
            )

    def _add_small_studies(self) -> None:
        """Add Egger's test, and the points of the funnel, where there are studies enough."""
        least = self.settings.small_study_min
        test, why = None, ""
        if self.k < least:
            why = f"not tested: small-study effects take {least} studies, here {self.k}"
        else:
            effects, std_errs, _ = self._numbers(self.rows)
            test, why = attempt(egger_test, effects, std_errs, level=self.level, minimum=least)
        identifier = self.ard.add(
            self.name,
            "egger",
            NAN if test is None else test.estimate,
            ci_low=NAN if test is None else test.ci_low,
            ci_high=NAN if test is None else test.ci_high,
            p_value=NAN if test is None else test.p,
            unit="statistic",
            method=why or f"{self._words(self.rows)}; Egger's regression: intercept, zero without small-study effects",
            engine=META,
            population=STUDIES,
            **self._place(),
        )
        if test is None:
            return
        for row in self.rows.itertuples(index=False):
            self.curves["small_studies"].append(
                {
                    "synthesis_id": self.name,
                    "scope": self.scope,
                    "study_id": row.study_id,
                    "label": row.label,
                    "log_hr": row.log_estimate,
                    "se": row.se,
                    "verified": row.verified,
                    "egger_intercept": test.estimate,
                    "egger_slope": test.limit_estimate,
                    "ard_id": identifier,
                }
            )


def counted_effect(effect_id: str, basis: str) -> str:
    """Return the ARD id of the interval of an effect that counts: as reported, or from estimate and p."""
    return ard_id("effects", effect_id, "hr_from_p" if basis == FROM_P else "hr")


def _ratio_of(result: Pooled) -> dict[str, float]:
    return {
        "hr": math.exp(result.estimate),
        "lo": math.exp(result.ci_low),
        "hi": math.exp(result.ci_high),
        "p": result.p,
    }


def _two_sided(log_estimate: float, std_err: float) -> float:
    return float(2 * ndtr(-abs(log_estimate / std_err)))
