"""What a perfect record keeper would have written down: the canonical tables, before any dialect or dirt.

Times are whole days since the patient's index RFA until the last step, where they become dates.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sorafenib_rfa.simulate.outcomes import CAUSES, Chances, Course
from sorafenib_rfa.simulate.parameters import SimulationParameters
from sorafenib_rfa.simulate.population import stream
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

CIRSE_OF_CLAVIEN = {"I": 1, "II": 2, "IIIa": 3, "IIIb": 3, "IVa": 4, "IVb": 5, "V": 6}
SIR_OF_CLAVIEN = {
    "I": "mild", "II": "moderate", "IIIa": "severe", "IIIb": "severe", "IVa": "life_threatening",
    "IVb": "life_threatening", "V": "death",
}  # fmt: skip
"""How the perfect record keeper grades by the SIR classification of 2017: an assumption, its categories have their own
definitions."""
CLAVIEN_GRADE = {"I": 1, "II": 2, "IIIa": 3, "IIIb": 3, "IVa": 4, "IVb": 4, "V": 5}
LAB_COLUMNS = {
    "ALB": "albumin_g_l",
    "BILI": "bilirubin_umol_l",
    "ALT": "alt_u_l",
    "AST": "ast_u_l",
    "ALP": "alp_u_l",
    "GGT": "ggt_u_l",
    "INR": "inr",
    "PLT": "platelets_10_9_l",
    "AFP": "afp_ng_ml",
    "CREA": "creatinine_umol_l",
}
"""Test -> column of the population that holds its baseline value."""

WITHOUT_GRADE_4 = (
    "Palmar-plantar erythrodysesthesia syndrome", "Rash maculo-papular", "Fatigue", "Nausea", "Weight loss",
    "Abdominal pain",
)  # fmt: skip
"""CTCAE v5.0 terms that end at grade 3 (recalled)."""


@dataclass(frozen=True)
class Observed:
    """The observed part of each patient's course, days since RFA.

    ``end_day``: end of observation (death, drop-out or data cut-off); ``died``: death seen; ``detected_day``: first
    recurrence seen, infinite if none; ``start_day``, ``stop_day``: adjuvant sorafenib, infinite if never;
    ``stop_reason``: as ``change_reason``, ``ongoing`` when still taken at the end.
    """

    end_day: np.ndarray
    died: np.ndarray
    detected_day: np.ndarray
    start_day: np.ndarray
    stop_day: np.ndarray
    stop_reason: np.ndarray


def observe(
    natural: Course, chances: Chances, population: pd.DataFrame, index_date: np.ndarray,
    parameters: SimulationParameters, seed: int,
) -> Observed:  # fmt: skip
    """Return what is seen of the natural course, given drop-out and the data cut-off.

    Sorafenib is started as planned unless recurrence was seen, or the patient died or was lost before; it is taken
    until it is stopped for its own reasons, until recurrence is seen, or until death.
    """
    rng = stream(seed, "observation")
    n = len(population)
    rate = parameters.observation.drop_out_per_year.value
    drop_out = np.ceil(rng.exponential(365.25 / rate, n)) if rate else np.full(n, np.inf)
    cutoff = (np.datetime64(parameters.accrual.data_cutoff.value) - index_date).astype(int)
    last = np.minimum(drop_out, cutoff)
    death = np.ceil(natural.death_day)
    died = death <= last
    end = np.where(died, death, last)
    unseen = ~population["followed"].to_numpy()
    end, died = np.where(unseen, 0, end), died & ~unseen
    detected = np.where(natural.detected_day <= end, natural.detected_day, np.inf)
    starts = (natural.start_day < np.minimum(detected, end)) & ~unseen
    start = np.where(starts, natural.start_day, np.inf)
    own_stop = np.maximum(start + chances.stop_after_days, start)
    stop = np.minimum(np.minimum(own_stop, detected), end)
    options = parameters.dosing.stop_reason.value
    reason = np.array(list(options), dtype=object)[rng.choice(len(options), n, p=list(options.values()))]
    longest = np.ceil(parameters.dosing.longest_months.value * DAYS_PER_MONTH)
    reason = np.where(chances.stop_after_days >= longest, "planned", reason)
    reason = np.where(stop == detected, "progression", reason)
    reason = np.where((stop == end) & (stop < own_stop), np.where(died, "death", "ongoing"), reason)
    return Observed(end, died, detected, start, np.where(starts, stop, np.inf), np.where(starts, reason, None))


@dataclass
class Journal:
    """Rows of one table, gathered patient by patient."""

    columns: tuple[str, ...]
    rows: list[tuple] = field(default_factory=list)

    def add(self, *values: object) -> None:
        """Add one row, in the order of the columns."""
        self.rows.append(values)

    def frame(self) -> pd.DataFrame:
        """Return the rows; ``patient`` is the position in the population, ``day`` and ``end_day`` days since RFA."""
        return pd.DataFrame(self.rows, columns=list(self.columns))


def write_records(
    population: pd.DataFrame,
    observed: Observed,
    natural: Course,
    index_date: np.ndarray,
    subject_id: np.ndarray,
    uln: Mapping[str, Mapping[str, float]],
    parameters: SimulationParameters,
    seed: int,
    *,
    baseline_tests_alone: Collection[str] | None = None,
) -> dict[str, pd.DataFrame]:
    """Return the canonical tables of all centres.

    Parameters
    ----------
    population, observed, natural
        Patients, what is seen of them, and how it truly went.
    index_date : ndarray of datetime64[D], shape (n,)
        Day of the index RFA.
    subject_id : ndarray of str, shape (n,)
        Unique within a centre.
    uln : mapping
        Site -> test -> upper limit of normal in the canonical unit.
    parameters : SimulationParameters
    seed : int
    baseline_tests_alone : collection of str, optional
        Laboratory tests recorded at baseline, and nothing later (a registry); without it every test of every visit.

    Returns
    -------
    dict of str to DataFrame
        The six tables, with ``site`` and the canonical columns; dates are datetime64, codes canonical, a missing value
        is None or NaN; sorted by site, subject and date.
    """
    doses = _dose_intervals(population, observed, parameters, seed)
    ablations, events, findings = _sessions_and_findings(population, observed, natural, parameters, seed)
    adverse, doses = _adverse_events(population, observed, doses, events, parameters, seed)
    tables = {
        "patients": _patients(population, observed, natural, index_date, parameters, seed),
        "ablations": ablations,
        "drug_exposure": doses,
        "imaging": findings,
        "labs": _labs(population, observed, natural, uln, parameters, seed, baseline_tests_alone),
        "adverse_events": adverse,
    }
    sites = population["site"].to_numpy()
    dates = {
        "ablations": {"day": "ablation_date", "complication_day": "complication_date"},
        "drug_exposure": {"day": "start_date", "end_day": "end_date"},
        "imaging": {"day": "imaging_date"},
        "labs": {"day": "sample_date"},
        "adverse_events": {"day": "start_date", "end_day": "end_date"},
    }
    finished = {}
    for table, frame in tables.items():
        patient = frame.pop("patient").to_numpy()
        for column, name in dates.get(table, {}).items():
            frame[name] = _dates(index_date[patient], frame.pop(column).to_numpy(dtype=float))
        frame.insert(0, "site", sites[patient])
        frame.insert(1, "subject_id", subject_id[patient])
        order = ["site", "subject_id", *(name for name in dates.get(table, {}).values() if name != "complication_date")]
        finished[table] = frame.sort_values(order, kind="stable", ignore_index=True)
    return finished


def _dates(origin: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Return dates `days` after `origin`; NaT where the day is missing."""
    known = np.isfinite(days)
    dates = origin + np.where(known, days, 0).astype("timedelta64[D]")
    return np.where(known, dates, np.datetime64("NaT", "D")).astype("datetime64[s]")


def _patients(
    population: pd.DataFrame, observed: Observed, natural: Course, index_date: np.ndarray,
    parameters: SimulationParameters, seed: int,
) -> pd.DataFrame:  # fmt: skip
    rng = stream(seed, "patients")
    n = len(population)

    def yes(flags: pd.Series) -> np.ndarray:
        return np.where(flags, "Y", "N").astype(object)

    gap = rng.uniform(0, parameters.observation.last_contact_before_end_days.value, n)
    seen = np.where(natural.attended & (natural.examinations <= observed.end_day), natural.examinations, 0).max(axis=0)
    contact = np.where(observed.died, observed.end_day, np.maximum(np.floor(observed.end_day - gap), seen))
    contact = np.where(observed.end_day == 0, 0, np.maximum(contact, np.minimum(1, observed.end_day)))
    born = index_date - np.floor(population["age_years"].to_numpy() * 365.25 + rng.random(n)).astype("timedelta64[D]")
    stage = population["stage"].str[0].to_numpy(dtype=object)
    frame = pd.DataFrame(
        {
            "patient": np.arange(n),
            "birth_date": born.astype("datetime64[s]"),
            "age_years": np.floor(population["age_years"].to_numpy()),
            "sex": np.where(population["male"], "M", "F").astype(object),
            "etiology": population["etiology"].to_numpy(dtype=object),
            "antiviral": yes(population["antiviral"]),
            "cirrhosis": yes(population["cirrhosis"]),
            "ecog": population["ecog"].to_numpy(dtype=object),
            "recurrent_hcc": yes(population["recurrent_hcc"]),
            "tumour_count": population["tumour_count"].to_numpy(dtype=object),
            "largest_tumour_cm": population["largest_tumour_cm"].to_numpy(),
            "vascular_invasion": yes(population["vascular_invasion"]),
            "extrahepatic_spread": yes(population["extrahepatic_spread"]),
            "ascites": population["ascites"].to_numpy(dtype=object),
            "encephalopathy": population["encephalopathy"].to_numpy(dtype=object),
            "prior_systemic_therapy": yes(population["prior_systemic_therapy"]),
            "recorded_bclc": stage,
            "vital_status": np.where(observed.died, "dead", "alive").astype(object),
            "death_date": _dates(index_date, np.where(observed.died, observed.end_day, np.nan)),
            "last_contact_date": _dates(index_date, contact),
        }
    )
    for name, share in parameters.laboratory.missing_patient_fact.value.items():
        frame[name] = frame[name].mask(pd.Series(rng.random(n) < share), None)
    return frame


# --- sorafenib --------


def _dose_intervals(
    population: pd.DataFrame, observed: Observed, parameters: SimulationParameters, seed: int
) -> pd.DataFrame:
    """Return dosing intervals: the adjuvant course with its changes, and courses given for recurrence."""
    d = parameters.dosing
    rng = stream(seed, "dosing")
    journal = Journal(("patient", "drug", "day", "end_day", "daily_dose_mg", "change_reason"))
    reduced = np.array([float(dose) for dose in d.reduced_mg_per_day.value])
    weights = list(d.reduced_mg_per_day.value.values())
    full = d.start_mg_per_day.value
    n = len(population)
    modified = rng.random(n) < d.modified.value
    change_after = np.ceil(rng.exponential(d.modified_after_days.value, n)) + 6
    interrupts = rng.random(n) < d.interruption_first.value
    pause = rng.integers(*d.interruption_days.value, n, endpoint=True)
    lower = rng.choice(reduced, n, p=weights)
    returns = rng.random(n) < d.back_to_full_dose.value
    return_after = np.ceil(rng.exponential(d.back_to_full_dose_after_days.value, n)) + 28
    for_recurrence = rng.random(n) < parameters.treatment.given_after_recurrence.value
    wait = rng.integers(*d.after_recurrence_delay_days.value, n, endpoint=True)
    length = rng.integers(*d.after_recurrence_length_days.value, n, endpoint=True)
    before = population["sorafenib_before_rfa"].to_numpy()

    def course(i: int, start: float, stop: float, reason: str) -> None:
        last = np.nan if reason == "ongoing" else stop
        day = start
        steps: list[tuple[float, float, str]] = []  # first day, dose, reason of the change that ends it
        if modified[i] and start + change_after[i] < stop:
            day = start + change_after[i]
            steps.append((start, full, "adverse_event"))
            if interrupts[i] and day + pause[i] < stop:
                steps.append((day, 0.0, "planned"))
                day += pause[i]
            steps.append((day, lower[i], reason))
            if returns[i] and day + return_after[i] < stop:
                steps[-1] = (day, lower[i], "planned")
                day += return_after[i]
                steps.append((day, full, reason))
        else:
            steps.append((start, full, reason))
        for (first, dose, why), following in zip(steps, [*steps[1:], None], strict=True):
            end = last if following is None else following[0] - 1
            journal.add(i, "sorafenib", first, end, dose, why)

    for i in np.flatnonzero(np.isfinite(observed.start_day)):
        course(i, observed.start_day[i], observed.stop_day[i], observed.stop_reason[i])
    for i in np.flatnonzero(before):
        journal.add(i, "sorafenib", -float(wait[i]), -1.0, full, "planned")
    for i in np.flatnonzero(np.isfinite(observed.detected_day) & for_recurrence):
        start = observed.detected_day[i] + wait[i]
        if start < observed.end_day[i]:
            stop = start + length[i]
            reason = "adverse_event" if stop < observed.end_day[i] else "death" if observed.died[i] else "ongoing"
            course(i, start, min(stop, observed.end_day[i]), reason)
    return journal.frame()


# --- ablations and imaging --------


def _finding(kinds: list[str], unspecified: bool) -> str:
    """Return the code of a positive examination that shows `kinds`; a code holds two kinds at most."""
    if unspecified:
        return "recurrence_unspecified"
    return "+".join(kinds if len(kinds) < 3 else ["LTP", "EHS"])


def _sessions_and_findings(
    population: pd.DataFrame, observed: Observed, natural: Course, parameters: SimulationParameters, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return ablations, adverse events of the procedures, and examinations."""
    o, s = parameters.observation, parameters.safety
    rng = stream(seed, "sessions")
    n = len(population)
    ablations = Journal(
        ("patient", "day", "tumour_no", "tumour_diameter_cm", "guidance", "complete_ablation",
         "complication_term", "complication_clavien_dindo", "complication_cirse", "complication_sir",
         "complication_day")
    )  # fmt: skip
    events = Journal(("patient", "day", "term", "grade", "serious"))
    imaging = Journal(("patient", "day", "modality", "finding", "ltp_tumours"))
    modalities, modality_shares = list(o.modality.value), list(o.modality.value.values())
    guides, guide_shares = list(o.guidance.value), list(o.guidance.value.values())
    largest, count = population["largest_tumour_cm"].to_numpy(), population["tumour_count"].to_numpy()
    complete, has_rfa = population["complete_ablation"].to_numpy(), population["has_rfa"].to_numpy()
    modality = rng.choice(modalities, natural.examinations.shape, p=modality_shares)
    unspecified = rng.random(n) < o.unspecified_finding.value
    low, high = o.repeat_rfa_delay_days.value
    yearly = o.further_recurrence_per_year.value
    further, further_shares = list(o.further_recurrence_kind.value), list(o.further_recurrence_kind.value.values())
    ratio = parameters.baseline.other_tumour_ratio.value
    failure = parameters.baseline.incomplete_ablation.value
    # streams of their own: what was simulated before these were recorded keeps its values
    of_dates, of_tumours = stream(seed, "complication dates"), stream(seed, "progressing tumours")
    earliest_late, latest_late = s.late_complication_days.value
    per_cm = parameters.outcomes.hazard_ratios["size_per_cm"].local_progression
    assert per_cm is not None
    treated_at_index: dict[int, np.ndarray] = {}

    def noticed(i: int, day: float, onset: float, fatal: bool) -> float:
        """Return the recorded day of a complication, NaN where it is not recorded."""
        draw = of_dates.random()
        if draw < s.complication_date_missing.value:
            return np.nan
        late = day + float(of_dates.integers(earliest_late, latest_late, endpoint=True))
        is_late = draw < s.complication_date_missing.value + s.late_complication.value and not fatal
        return late if is_late and late <= observed.end_day[i] else onset

    def progressed(i: int) -> str | None:
        """Return the numbers of the index tumours at whose edge an examination saw progression; None: not recorded."""
        diameters = treated_at_index.get(i)
        if diameters is None or of_tumours.random() < o.progressed_tumour_not_recorded.value:
            return None
        mass = per_cm.value**diameters
        first = of_tumours.choice(len(diameters), p=mass / mass.sum())
        others = of_tumours.random(len(diameters)) < o.further_tumour_progressed.value
        return "+".join(str(k + 1) for k in range(len(diameters)) if k == first or others[k])

    def session(i: int, day: float, diameters: list[float], done: str) -> None:
        guidance = guides[int(rng.random() >= guide_shares[0])]
        term = clavien = None
        draw = rng.random()
        fatal = day == 0 and observed.died[i] and observed.end_day[i] <= 20
        if fatal:
            term, clavien = "Hepatic failure", "V"
        elif draw < s.major_complication.value + s.minor_complication.value:
            kinds = s.major.value if draw < s.major_complication.value else s.minor.value
            mass = np.array([kind.weight for kind in kinds.values()])
            term = list(kinds)[rng.choice(len(kinds), p=mass / mass.sum())]
            grades = kinds[term].clavien_dindo
            clavien = list(grades)[rng.choice(len(grades), p=np.array(list(grades.values())))]
        onset = day
        if term is not None and clavien is not None and day < observed.end_day[i]:
            grade = CLAVIEN_GRADE[clavien]
            onset = min(day + float(rng.integers(0, 4)), observed.end_day[i])
            events.add(i, onset, term, grade, grade >= 3)
        noted = np.nan if clavien is None else noticed(i, day, onset, fatal)
        for name, share in s.post_ablation.items():
            if rng.random() < share.value and day + 2 < observed.end_day[i]:
                events.add(
                    i, day + float(rng.integers(0, 3)), name, 1 + int(rng.random() < s.mild_is_grade_2.value), False
                )
        for number, diameter in enumerate(diameters, start=1):
            first = number == 1
            ablations.add(
                i, day, number, diameter, guidance, done if first or done == "Y" else "Y",
                term if first else None, clavien if first else None,
                CIRSE_OF_CLAVIEN[clavien] if first and clavien else None,
                SIR_OF_CLAVIEN[clavien] if first and clavien else None, noted if first else np.nan,
            )  # fmt: skip

    for i in range(n):
        if has_rfa[i]:
            others = np.round(np.maximum(largest[i] * rng.uniform(*ratio, count[i] - 1), 0.5), 1)
            treated_at_index[i] = np.array([float(largest[i]), *map(float, others)])
            session(i, 0.0, treated_at_index[i].tolist(), "Y" if complete[i] else "N")
        end, detected = observed.end_day[i], observed.detected_day[i]
        days = natural.examinations[:, i]
        for v in np.flatnonzero(natural.attended[:, i] & (days <= min(end, detected))):
            if days[v] < detected:
                imaging.add(i, days[v], modality[v, i], "no_recurrence", None)
                continue
            kinds = [c for k, c in enumerate(CAUSES[:3]) if natural.by_cause[k, i] <= detected]
            finding = _finding(kinds, bool(unspecified[i]))
            imaging.add(i, days[v], modality[v, i], finding, progressed(i) if "LTP" in finding else None)
        day, kinds = detected, [CAUSES[natural.recurrence_cause[i]]] if np.isfinite(detected) else []
        # what follows the first recurrence: another RFA, and imaging until the next recurrence or the end
        while has_rfa[i] and np.isfinite(day) and day < end:
            if rng.random() >= o.repeat_rfa.value[kinds[0]]:
                break
            treated = day + int(rng.integers(low, high, endpoint=True))
            if treated >= end:
                break
            diameters = np.round(
                rng.uniform(*o.new_tumour_cm.value, 1 + int(rng.random() < o.several_new_tumours.value)), 1
            )
            session(i, float(treated), [float(x) for x in diameters], "N" if rng.random() < failure else "Y")
            again = treated + rng.exponential(365.25 / yearly)
            day = float(treated)
            while day < end:
                day += np.round(o.imaging_interval_days.value * rng.uniform(0.8, 1.2))
                if day > end:
                    break
                if day < again:
                    imaging.add(i, day, modalities[rng.integers(len(modalities))], "no_recurrence", None)
                    continue
                kinds = [further[rng.choice(len(further), p=further_shares)]]
                shown = modalities[rng.integers(len(modalities))]
                # after a further session progression may lie at the edge of what that session treated
                of_index = kinds[0] == "LTP" and of_tumours.random() < o.progressed_at_index_after_repeat.value
                imaging.add(i, day, shown, kinds[0], progressed(i) if of_index else None)
                break
    return ablations.frame(), events.frame(), imaging.frame()


# --- adverse events --------


def _adverse_events(
    population: pd.DataFrame,
    observed: Observed,
    doses: pd.DataFrame,
    of_rfa: pd.DataFrame,
    parameters: SimulationParameters,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return adverse events of the drug, of RFA and of the disease; and doses, whose reasons they explain.

    A dose that changed for an adverse event has one: the gravest event of the drug that began before. Where a patient
    has none, the change was the patient's choice.
    """
    from sorafenib_rfa.clinical.ctcae import ctcae_soc

    s = parameters.safety
    rng = stream(seed, "adverse events")
    treated = np.flatnonzero(np.isfinite(observed.start_day))
    length = observed.stop_day[treated] - observed.start_day[treated]
    parts = []
    for term, rate in s.events.items():
        draw = rng.random(len(treated))
        has = draw < rate.on_sorafenib.value
        severe = draw < rate.severe_on_sorafenib.value
        # an exponential cut at the end of treatment: the declared share holds whatever the length of treatment
        cut = -np.expm1(-np.maximum(length, 1) / s.onset_days.value)
        onset = np.floor(-s.onset_days.value * np.log1p(-rng.random(len(treated)) * cut))
        mild = 1 + (rng.random(len(treated)) < s.mild_is_grade_2.value)
        grade = np.where(severe, 3 + (rng.random(len(treated)) < _share_of_grade_4(term, parameters)), mild)
        parts.append(
            pd.DataFrame(
                {
                    "patient": treated[has],
                    "day": (observed.start_day[treated] + np.minimum(onset, length))[has],
                    "term": term,
                    "grade": grade[has],
                    "source": "drug",
                }
            )
        )
        people = np.flatnonzero(observed.end_day > 30)
        expected = rate.background_per_year.value * observed.end_day[people] / 365.25
        who = np.repeat(people, rng.poisson(expected))
        parts.append(
            pd.DataFrame(
                {
                    "patient": who,
                    "day": np.floor(rng.random(len(who)) * observed.end_day[who]),
                    "term": term,
                    "grade": 1 + (rng.random(len(who)) < s.mild_is_grade_2.value),
                    "source": "disease",
                }
            )
        )
    parts.append(of_rfa[["patient", "day", "term", "grade"]].assign(source="rfa"))
    frame = pd.concat(parts, ignore_index=True)
    frame = frame.sort_values(["patient", "day", "term", "source"], kind="stable", ignore_index=True)
    spread = s.duration_days.value
    end = frame["day"] + np.ceil(spread.median * np.exp(spread.log_sd * rng.standard_normal(len(frame))))
    last = observed.end_day[frame["patient"].to_numpy(dtype=int)]
    fatal = frame["grade"].to_numpy() == 5
    over = end.to_numpy() <= last
    frame["end_day"] = np.where(over & ~fatal, end, np.nan)
    frame["outcome"] = np.where(
        fatal,
        "fatal",
        np.where(over, "recovered", np.where(rng.random(len(frame)) < 0.5, "recovering", "not_recovered")),
    )
    grave = frame["grade"].to_numpy() >= 3
    frame["serious"] = np.where(
        fatal | (grave & ((rng.random(len(frame)) < s.serious_if_severe.value) | (frame["source"] == "rfa"))), "Y", "N"
    )
    on_drug = frame["source"].eq("drug")
    frame["related_drug"] = np.where(on_drug & (rng.random(len(frame)) < s.attributed_to_drug.value), "Y", "N")
    frame["related_rfa"] = np.where(frame["source"].eq("rfa"), "Y", "N")
    frame["soc"] = frame["term"].map(dict(ctcae_soc()))
    frame["action"] = "none"
    doses = doses.copy()
    _attribute_changes(frame, doses, observed)
    return frame.drop(columns="source"), doses


def _share_of_grade_4(term: str, parameters: SimulationParameters) -> float:
    """Return the share of severe events that are life-threatening; CTCAE v5.0 has no grade 4 for some terms."""
    return 0.0 if term in WITHOUT_GRADE_4 else parameters.safety.life_threatening_if_severe.value


def _attribute_changes(events: pd.DataFrame, doses: pd.DataFrame, observed: Observed) -> None:
    """Set the action of the events that changed a dose; give a change that no event explains to the patient."""
    day, grade = events["day"].to_numpy(), events["grade"].to_numpy()
    action, reason = events["action"].to_numpy(copy=True), doses["change_reason"].to_numpy(dtype=object, copy=True)
    own: dict[int, list[int]] = {}
    for k in np.flatnonzero(events["related_drug"].eq("Y")):
        own.setdefault(int(events["patient"].iat[k]), []).append(int(k))
    following = doses.groupby("patient")["daily_dose_mg"].shift(-1).to_numpy()
    patients, last = doses["patient"].to_numpy(), doses["end_day"].to_numpy()
    for i in np.flatnonzero(reason == "adverse_event"):
        free = [k for k in own.get(int(patients[i]), []) if day[k] <= last[i] + 1 and action[k] == "none"]
        if not free:
            reason[i] = "patient_choice"
            continue
        stopped = np.isnan(following[i]) or last[i] + 1 >= observed.stop_day[patients[i]]
        gravest = max(free, key=lambda k: (grade[k], -k))
        action[gravest] = "stopped" if stopped else "interrupted" if following[i] == 0 else "reduced"
    events["action"], doses["change_reason"] = action, reason


# --- laboratory --------


def _labs(
    population: pd.DataFrame,
    observed: Observed,
    natural: Course,
    uln: Mapping[str, Mapping[str, float]],
    parameters: SimulationParameters,
    seed: int,
    baseline_tests_alone: Collection[str] | None,
) -> pd.DataFrame:
    """Return laboratory results in canonical units."""
    lab = parameters.laboratory
    rng = stream(seed, "labs")
    n = len(population)
    everyone = np.arange(n)
    parts = []

    def add(patient: np.ndarray, day: np.ndarray, test: str, value: np.ndarray, missing: float) -> None:
        kept = rng.random(len(patient)) >= missing
        parts.append(pd.DataFrame({"patient": patient[kept], "day": day[kept], "test": test, "value": value[kept]}))

    base = {test: population[column].to_numpy(dtype=float) for test, column in LAB_COLUMNS.items()}
    sampled = -rng.integers(0, lab.baseline_before_rfa_days.value, n, endpoint=True).astype(float)
    for test, column in LAB_COLUMNS.items():
        values = population[column].to_numpy(dtype=float)
        add(everyone, sampled[everyone], test, values[everyone], lab.missing_baseline.value[test])
    sites = population["site"].to_numpy()
    limits = pd.DataFrame(uln)
    if baseline_tests_alone is not None:
        recorded = pd.concat(parts, ignore_index=True)
        return _with_limits(recorded[recorded["test"].isin(baseline_tests_alone)], limits, sites)

    inside = np.flatnonzero(population["has_rfa"].to_numpy() & (observed.end_day >= 4))
    peak_day = rng.integers(1, 3, n, endpoint=True).astype(float)
    for test, fold in lab.peak_fold_after_rfa.value.items():
        value = base[test][inside] * fold.median * np.exp(fold.log_sd * rng.standard_normal(len(inside)))
        add(inside, peak_day[inside], test, value, lab.missing_follow_up.value[test])

    visits, patient = np.nonzero(natural.attended & (natural.examinations <= observed.end_day))
    day = natural.examinations[visits, patient]
    seldom = day > lab.every_visit_until_months.value * DAYS_PER_MONTH
    recurred = day > observed.detected_day[patient]
    kept = ~(seldom & (visits % 2 == 1)) & ~(recurred & (visits % 3 != 0))
    patient, day = patient[kept], day[kept]
    on_drug = (day >= observed.start_day[patient]) & (day <= observed.stop_day[patient])
    after = day >= natural.recurrence_day[patient]
    injury = rng.random(len(patient)) < 0
    injured = np.isfinite(observed.start_day) & (rng.random(n) < lab.liver_injury.value)
    # each injured patient's first sample on the drug
    candidates = np.flatnonzero(on_drug & injured[patient])
    injury[candidates[np.unique(patient[candidates], return_index=True)[1]]] = True
    for test in lab.follow_up_tests.value:
        change = (
            lab.log_change_per_year.value.get(test, 0.0) * day / 365.25
            + lab.log_change_on_sorafenib.value.get(test, 0.0) * on_drug
            + lab.log_change_after_recurrence.value.get(test, 0.0) * after
            + lab.within_patient_log_sd.value[test] * rng.standard_normal(len(patient))
        )
        value = base[test][patient] * np.exp(change)
        if test in lab.liver_injury_uln.value:
            reached = lab.liver_injury_uln.value[test] * limits.loc[test, sites[patient]].to_numpy(dtype=float)
            value = np.where(injury, np.maximum(value, reached), value)
        if test == "ALB":
            value = np.minimum(value, 58)
        add(patient, day, test, value, lab.missing_follow_up.value[test])
    return _with_limits(pd.concat(parts, ignore_index=True), limits, sites)


def _with_limits(frame: pd.DataFrame, limits: pd.DataFrame, sites: np.ndarray) -> pd.DataFrame:
    """Return results, none below what a laboratory reports, with upper limits of normal, by patient and day."""
    frame = frame.assign(value=np.maximum(frame["value"], frame["test"].map(_LOWEST).to_numpy(dtype=float)))
    rows, columns = limits.index.get_indexer(frame["test"]), limits.columns.get_indexer(sites[frame["patient"]])
    frame["uln"] = limits.to_numpy()[rows, columns]
    return frame.sort_values(["patient", "day"], kind="stable", ignore_index=True)


_LOWEST = {
    "ALB": 15.0, "BILI": 2.0, "ALT": 5.0, "AST": 5.0, "ALP": 15.0, "GGT": 5.0, "INR": 0.8, "PLT": 8.0, "AFP": 0.5,
    "CREA": 25.0,
}  # fmt: skip
"""The least that the simulated laboratories report."""
