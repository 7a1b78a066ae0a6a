"""ADTUM is derived for all patients at once; here one patient after the other, examination by examination."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from sorafenib_rfa.adam.adtum import _local_progression
from sorafenib_rfa.adam.schemas import (
    LTP_NOT_RECORDED,
    LTP_ONLY_TUMOUR,
    LTP_RECORDED,
    TUMOUR_CENSORED,
    TUMOUR_DEATH,
    TUMOUR_LTP,
)

ZERO = pd.Timestamp("2015-03-01")
FINDINGS = ["no_recurrence", "LTP", "IDR", "EHS", "LTP+IDR", "LTP+EHS", "recurrence_unspecified", None]
days = st.integers(-2, 6)
tumour = st.tuples(st.sampled_from([1, 2, 3, None]), st.sampled_from([1.0, 2.5, 3.0, None]))
exam = st.tuples(days, st.sampled_from(FINDINGS), st.sampled_from([None, "1", "2", "1+3", "2 + 3", "9", "left"]))
patient = st.tuples(
    st.lists(tumour, min_size=1, max_size=3),
    st.lists(exam, max_size=6),
    st.lists(st.integers(1, 6), max_size=2),
    st.one_of(st.none(), st.integers(0, 9)),
)


def one_by_one(tumours, exams, index_date, next_session, death):
    """Follow the index tumours of one patient from examination day to examination day, as the module's text says."""
    found, last, complete = {}, index_date, True
    largest = sorted(
        tumours.index,
        key=lambda i: (
            -tumours.at[i, "DIAM"] if pd.notna(tumours.at[i, "DIAM"]) else np.inf,
            tumours.at[i, "TUMNO"] if pd.notna(tumours.at[i, "TUMNO"]) else np.inf,
            tumours.at[i, "SRCROW"],
        ),
    )[0]
    for day in sorted(
        {e["imaging_date"] for e in exams if e["finding"] is not None and e["imaging_date"] > index_date}
    ):
        seen = [e for e in exams if e["imaging_date"] == day and e["finding"] is not None]
        findings = {e["finding"] for e in seen} - {"no_recurrence"}
        kinds = {kind for finding in findings for kind in finding.split("+")} & {"LTP", "IDR", "EHS"}
        if findings and not kinds:
            complete = False
            break
        if "LTP" in kinds:
            texts = [e["ltp_tumours"] for e in seen if e["ltp_tumours"] not in (None, "left")]
            named = {int(number) for text in texts for number in text.split("+")}
            progressed = [
                i for i in tumours.index if pd.notna(tumours.at[i, "TUMNO"]) and tumours.at[i, "TUMNO"] in named
            ]
            if not progressed and next_session is not None and next_session < day:
                complete = False
                break
            for i in progressed:
                found.setdefault(i, (day, LTP_RECORDED))
            if not progressed and not found:
                found[largest] = (day, LTP_ONLY_TUMOUR if len(tumours) == 1 else LTP_NOT_RECORDED)
        last = day
    rows = {}
    for i in tumours.index:
        if i in found:
            date, how = found[i]
            rows[i] = ("Y", date, how, date, TUMOUR_LTP)
        elif complete and death is not None:
            rows[i] = ("N", pd.NaT, None, death, TUMOUR_DEATH)
        else:
            rows[i] = ("N", pd.NaT, None, last, TUMOUR_CENSORED)
    return rows


@settings(max_examples=150, deadline=None)
@given(st.lists(patient, min_size=1, max_size=4))
def test_local_progression_is_that_of_each_patient_followed_alone(patients):
    tumours, imaging, ablations, died, expected = [], [], [], {}, {}
    for number, (treated, exams, sessions, death) in enumerate(patients):
        name = f"P{number}"
        died[name] = pd.NaT if death is None else ZERO + pd.Timedelta(days=death)
        own = [
            {"USUBJID": name, "PROCDT": ZERO, "TUMNO": no, "DIAM": size, "SRCROW": len(tumours) + i}
            for i, (no, size) in enumerate(treated)
        ]
        seen = [
            {
                "USUBJID": name,
                "imaging_date": ZERO + pd.Timedelta(days=day),
                "finding": finding,
                "ltp_tumours": named,
            }
            for day, finding, named in exams
        ]
        later = [ZERO + pd.Timedelta(days=day) for day in sessions]
        frame = pd.DataFrame(own, index=range(len(tumours), len(tumours) + len(own)))
        expected |= one_by_one(frame, seen, ZERO, min(later, default=None), None if death is None else died[name])
        tumours += own
        imaging += seen
        ablations += [{"USUBJID": name, "ablation_date": day} for day in [ZERO, *later]]
    tumours = pd.DataFrame(tumours).astype(
        {"USUBJID": "string", "PROCDT": "datetime64[s]", "TUMNO": "Int64", "DIAM": "Float64", "SRCROW": "Int64"}
    )
    imaging = pd.DataFrame(imaging, columns=["USUBJID", "imaging_date", "finding", "ltp_tumours"]).astype(
        {"USUBJID": "string", "imaging_date": "datetime64[s]", "finding": "string", "ltp_tumours": "string"}
    )
    ablations = pd.DataFrame(ablations).astype({"USUBJID": "string", "ablation_date": "datetime64[s]"})
    found = _local_progression(tumours, imaging, ablations, pd.Series(died, dtype="datetime64[s]"))
    wanted = pd.DataFrame.from_dict(expected, orient="index", columns=list(found.columns)).astype(
        found.dtypes.to_dict()
    )
    pd.testing.assert_frame_equal(found, wanted)
