"""How six fictional hospitals write their exports: languages, codes, units, dates, file formats.

These are the hospitals' habits; what the study makes of them is declared, independently, in
``config/cohorts/synthetic/sites/``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sorafenib_rfa.vocabulary import LAB_TESTS

Codes = Mapping[str, str]


@dataclass(frozen=True)
class ExportColumn:
    """One column: the canonical column, its header, and the hospital's word for each canonical code."""

    name: str
    header: str
    codes: Codes | None = None


@dataclass(frozen=True)
class ExportTable:
    """One table of an export: its file, its sheet in a workbook, lines above the header, columns."""

    file: str
    columns: tuple[ExportColumn, ...]
    sheet: str | None = None
    above: tuple[str, ...] = ()

    @property
    def header_row(self) -> int:
        """Row of the header, counted from 1."""
        return len(self.above) + 1


@dataclass(frozen=True)
class LabDialect:
    """A test as a hospital reports it: name, unit as spelled and as ingest knows it, limit of normal, decimals."""

    name: str
    unit: str
    known_unit: str
    uln: float
    decimals: int


@dataclass(frozen=True)
class Dialect:
    """All habits of one hospital.

    ``date`` writes a date as text; None leaves dates to the workbook. ``afp_limits``: below and above which AFP is
    reported as ``<3`` or ``>1210``, in the hospital's unit. ``wide_labs``: one row a sample, one column a test.
    """

    tables: Mapping[str, ExportTable]
    labs: Mapping[str, LabDialect]
    missing: tuple[str, ...]
    date: Callable[[dt.date], str] | None
    subject: Callable[[int], str]
    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."
    numbers_as_text: bool = True
    afp_limits: tuple[float | None, float | None] = (None, None)
    wide_labs: bool = False
    typos: Mapping[str, str] = field(default_factory=dict)
    unknown_unit: str | None = None
    far_east: bool = False


def _columns(**headers: str | tuple[str, Codes]) -> tuple[ExportColumn, ...]:
    return tuple(
        ExportColumn(name, *((header,) if isinstance(header, str) else header)) for name, header in headers.items()
    )


def _labs(**tests: tuple[str, str, str, float, int]) -> dict[str, LabDialect]:
    assert tuple(tests) == tuple(LAB_TESTS)
    return {test: LabDialect(*values) for test, values in tests.items()}


FINDINGS = ("no_recurrence", "LTP", "IDR", "EHS", "LTP+IDR", "IDR+EHS", "LTP+EHS", "recurrence_unspecified")
SIR = ("mild", "moderate", "severe", "life_threatening", "death")
REASONS = ("adverse_event", "progression", "patient_choice", "planned", "death", "ongoing")


def _coded(names: tuple[str, ...], *words: str) -> dict[str, str]:
    return dict(zip(names, words, strict=True))


# --- cn01: CSV in GB18030, Chinese throughout --------

_SHI_FOU = {"Y": "是", "N": "否"}
_YOU_WU = {"Y": "有", "N": "无"}
_CN_TERMS = {
    "Palmar-plantar erythrodysesthesia syndrome": "手足综合征",
    "Diarrhea": "腹泻",
    "Hypertension": "高血压",
    "Rash maculo-papular": "斑丘疹",
    "Fatigue": "乏力",
    "Alopecia": "脱发",
    "Alanine aminotransferase increased": "谷丙转氨酶升高",
    "Blood bilirubin increased": "血胆红素升高",
    "Anorexia": "食欲减退",
    "Nausea": "恶心",
    "Weight loss": "体重下降",
    "Abdominal pain": "腹痛",
    "Hoarseness": "声音嘶哑",
    "Upper gastrointestinal hemorrhage": "上消化道出血",
    "Platelet count decreased": "血小板减少",
    "Ascites": "腹水",
    "Fever": "发热",
    "Intra-abdominal hemorrhage": "腹腔出血",
    "Hepatic infection": "肝脓肿",
    "Pleural effusion": "胸腔积液",
    "Pneumothorax": "气胸",
    "Biliary fistula": "胆瘘",
    "Colonic perforation": "结肠穿孔",
    "Hepatic failure": "肝衰竭",
    "Hematoma": "血肿",
    "Burn": "烧伤",
    "Pain": "疼痛",
    "Portal vein thrombosis": "门静脉血栓",
}
CN01 = Dialect(
    encoding="gb18030",
    missing=("未查", "", "-"),
    date=lambda day: f"{day.year}年{day.month}月{day.day}日",
    subject=lambda number: f"ZY{104000 + 7 * number}",
    labs=_labs(
        ALB=("白蛋白", "g/L", "g/L", 55, 1),
        BILI=("总胆红素", "μmol/L", "umol/L", 21, 1),
        ALT=("谷丙转氨酶", "U/L", "U/L", 50, 0),
        AST=("谷草转氨酶", "U/L", "U/L", 40, 0),
        ALP=("碱性磷酸酶", "U/L", "U/L", 125, 0),
        GGT=("谷氨酰转肽酶", "U/L", "U/L", 60, 0),
        INR=("国际标准化比值", "INR", "INR", 1.2, 2),
        PLT=("血小板", "×10⁹/L", "10^9/L", 350, 0),
        AFP=("甲胎蛋白", "ng/mL", "ng/mL", 20, 1),
        CREA=("肌酐", "μmol/L", "umol/L", 97, 0),
    ),
    afp_limits=(1.3, None),
    typos={"男": "难", "女": "汝"},
    unknown_unit="单位/升升",
    far_east=True,
    tables={
        "patients": ExportTable(
            "患者.csv",
            _columns(
                subject_id="病历号",
                sex=("性别", {"M": "男", "F": "女"}),
                birth_date="出生日期",
                etiology=("病因", {"HBV": "乙肝", "HCV": "丙肝", "Alcohol": "酒精性", "Other": "其他"}),
                antiviral=("抗病毒治疗", _SHI_FOU),
                cirrhosis=("肝硬化", _YOU_WU),
                ecog="ECOG评分",
                recurrent_hcc=("复发性肝癌", _SHI_FOU),
                tumour_count="肿瘤数目",
                largest_tumour_cm="最大肿瘤直径（cm）",
                vascular_invasion=("血管侵犯", _YOU_WU),
                extrahepatic_spread=("肝外转移", _YOU_WU),
                ascites=("腹水", {"none": "无", "mild": "少量", "moderate_severe": "中大量"}),
                encephalopathy=("肝性脑病", {"none": "无", "grade_1_2": "1-2级", "grade_3_4": "3-4级"}),
                prior_systemic_therapy=("既往系统治疗", _YOU_WU),
                recorded_bclc=("BCLC分期", {s: f"{s}期" for s in "0ABCD"}),
                vital_status=("生存状态", {"alive": "存活", "dead": "死亡"}),
                death_date="死亡日期",
                last_contact_date="末次随访日期",
            ),
        ),
        "ablations": ExportTable(
            "消融.csv",
            _columns(
                subject_id="病历号",
                ablation_date="消融日期",
                tumour_no="病灶序号",
                tumour_diameter_cm="病灶直径（cm）",
                guidance=("引导方式", {"US": "超声", "CT": "CT"}),
                complete_ablation=("完全消融", _SHI_FOU),
                complication_term=("并发症", _CN_TERMS),
                complication_clavien_dindo="Clavien-Dindo分级",
                complication_sir=("SIR分级", _coded(SIR, "轻度", "中度", "重度", "危及生命", "死亡")),
                complication_date="并发症日期",
            ),
        ),
        "drug_exposure": ExportTable(
            "用药.csv",
            _columns(
                subject_id="病历号",
                drug=("药品", {"sorafenib": "索拉非尼"}),
                start_date="开始日期",
                end_date="结束日期",
                daily_dose_mg="日剂量（mg）",
                change_reason=(
                    "变更原因",
                    _coded(REASONS, "不良反应", "肿瘤进展", "患者意愿", "计划内", "死亡", "继续用药"),
                ),
            ),
        ),
        "imaging": ExportTable(
            "影像.csv",
            _columns(
                subject_id="病历号",
                imaging_date="检查日期",
                modality=("检查方式", {"CT": "增强CT", "MRI": "增强MRI", "CEUS": "超声造影"}),
                finding=(
                    "结论",
                    _coded(
                        FINDINGS,
                        "未见复发",
                        "局部进展",
                        "肝内远处复发",
                        "肝外转移",
                        "局部进展+肝内远处复发",
                        "肝内远处复发+肝外转移",
                        "局部进展+肝外转移",
                        "复发（部位未注明）",
                    ),
                ),
                ltp_tumours="进展病灶序号",
            ),
        ),
        "labs": ExportTable(
            "检验.csv",
            _columns(
                subject_id="病历号", sample_date="采样日期", test="项目", value="结果", unit="单位", uln="参考上限"
            ),
        ),
        "adverse_events": ExportTable(
            "不良事件.csv",
            _columns(
                subject_id="病历号",
                term=("不良事件名称", _CN_TERMS),
                grade="CTCAE分级",
                start_date="开始日期",
                end_date="结束日期",
                serious=("严重不良事件", _SHI_FOU),
                related_drug=("与药物相关", _SHI_FOU),
                related_rfa=("与消融相关", _SHI_FOU),
                action=("处理措施", {"none": "无", "reduced": "减量", "interrupted": "暂停", "stopped": "停药"}),
                outcome=(
                    "转归",
                    {"recovered": "痊愈", "recovering": "好转", "not_recovered": "未愈", "fatal": "死亡"},
                ),
            ),
        ),
    },
)

# --- cn02: one workbook, a title above each header, English with some Chinese codes, real dates, wide labs --------

_YES_NO = {"Y": "Yes", "N": "No"}


def _cn02(sheet: str, title: str, columns: tuple[ExportColumn, ...]) -> ExportTable:
    return ExportTable("RFA_registry_export.xlsx", columns, sheet, (title, "Exported from HIS, do not edit"))


CN02 = Dialect(
    missing=("", "NA", "未查"),
    date=None,
    numbers_as_text=False,
    subject=lambda number: f"P-{number:04d}",
    wide_labs=True,
    afp_limits=(3, 1210),
    far_east=True,
    typos={"男": "Mael", "女": "Femal"},
    labs=_labs(
        ALB=("ALB (g/L)", "g/L", "g/L", 55, 1),
        BILI=("TBIL (umol/L)", "umol/L", "umol/L", 20.5, 1),
        ALT=("ALT (U/L)", "U/L", "U/L", 40, 0),
        AST=("AST (U/L)", "U/L", "U/L", 40, 0),
        ALP=("ALP (U/L)", "U/L", "U/L", 135, 0),
        GGT=("GGT (U/L)", "U/L", "U/L", 50, 0),
        INR=("INR", "INR", "INR", 1.2, 2),
        PLT=("PLT (10^9/L)", "10^9/L", "10^9/L", 300, 0),
        AFP=("AFP (ng/mL)", "ng/mL", "ng/mL", 25, 1),
        CREA=("Cr (umol/L)", "umol/L", "umol/L", 104, 0),
    ),
    tables={
        "patients": _cn02(
            "Patients",
            "Radiofrequency ablation registry - patients",
            _columns(
                subject_id="Patient ID",
                sex=("Sex", {"M": "男", "F": "女"}),
                birth_date="Date of birth",
                etiology=("Aetiology", {"HBV": "HBV", "HCV": "HCV", "Alcohol": "Alcohol", "Other": "其他"}),
                antiviral=("Antiviral", _YES_NO),
                cirrhosis=("Cirrhosis", _YES_NO),
                ecog="ECOG",
                recurrent_hcc=("Tumour history", {"Y": "复发", "N": "初发"}),
                tumour_count="No. of tumours",
                largest_tumour_cm="Max diameter (mm)",
                vascular_invasion=("Vascular invasion", _YES_NO),
                extrahepatic_spread=("Extrahepatic spread", _YES_NO),
                ascites=("Ascites", {"none": "None", "mild": "Mild", "moderate_severe": "Moderate/severe"}),
                encephalopathy=("Encephalopathy", {"none": "None", "grade_1_2": "I-II", "grade_3_4": "III-IV"}),
                prior_systemic_therapy=("Prior systemic therapy", _YES_NO),
                recorded_bclc="BCLC",
                vital_status=("Status", {"alive": "Alive", "dead": "死亡"}),
                death_date="Date of death",
                last_contact_date="Last contact",
            ),
        ),
        "ablations": _cn02(
            "RFA",
            "Radiofrequency ablation registry - procedures",
            _columns(
                subject_id="Patient ID",
                ablation_date="Date of RFA",
                tumour_no="Tumour no.",
                tumour_diameter_cm="Diameter (mm)",
                guidance="Guidance",
                complete_ablation=("Complete at 1 month", _YES_NO),
                complication_term="Complication",
                complication_clavien_dindo="Clavien-Dindo",
                complication_cirse="CIRSE grade",
                complication_sir=("SIR class", _coded(SIR, "Mild", "Moderate", "Severe", "Life-threatening", "Death")),
                complication_date="Complication date",
            ),
        ),
        "drug_exposure": _cn02(
            "Sorafenib",
            "Radiofrequency ablation registry - systemic therapy",
            _columns(
                subject_id="Patient ID",
                drug=("Drug", {"sorafenib": "多吉美"}),
                start_date="Start",
                end_date="Stop",
                daily_dose_mg="Dose (mg/day)",
                change_reason=("Reason", _coded(REASONS, "AE", "PD", "Patient", "Planned", "Death", "Ongoing")),
            ),
        ),
        "imaging": _cn02(
            "Imaging",
            "Radiofrequency ablation registry - imaging",
            _columns(
                subject_id="Patient ID",
                imaging_date="Date",
                modality="Modality",
                finding=(
                    "Result",
                    _coded(FINDINGS, "No recurrence", "LTP", "IDR", "EHS", "LTP+IDR", "IDR+EHS", "LTP+EHS", "复发"),
                ),
                ltp_tumours="LTP tumour no.",
            ),
        ),
        "labs": _cn02(
            "Labs",
            "Radiofrequency ablation registry - laboratory",
            _columns(subject_id="Patient ID", sample_date="Sample date"),
        ),
        "adverse_events": _cn02(
            "AE",
            "Radiofrequency ablation registry - adverse events",
            _columns(
                subject_id="Patient ID",
                term="CTCAE term",
                soc="SOC",
                grade="Grade",
                start_date="Onset",
                end_date="Resolved",
                serious=("SAE", _YES_NO),
                related_drug=("Related to drug", _YES_NO),
                related_rfa=("Related to RFA", _YES_NO),
                action=(
                    "Action",
                    {"none": "None", "reduced": "Reduced", "interrupted": "Interrupted", "stopped": "Stopped"},
                ),
                outcome=(
                    "Outcome",
                    {
                        "recovered": "Recovered",
                        "recovering": "Recovering",
                        "not_recovered": "Not recovered",
                        "fatal": "Fatal",
                    },
                ),
            ),
        ),
    },
)

# --- fr01: CSV in cp1252, semicolons, decimal commas, French --------

_OUI_NON = {"Y": "Oui", "N": "Non"}
_FR_TERMS = {
    "Palmar-plantar erythrodysesthesia syndrome": "Syndrome main-pied",
    "Diarrhea": "Diarrhée",
    "Hypertension": "Hypertension artérielle",
    "Rash maculo-papular": "Éruption maculopapuleuse",
    "Fatigue": "Fatigue",
    "Alopecia": "Alopécie",
    "Alanine aminotransferase increased": "Élévation de l'ALAT",
    "Blood bilirubin increased": "Élévation de la bilirubine",
    "Anorexia": "Anorexie",
    "Nausea": "Nausées",
    "Weight loss": "Perte de poids",
    "Abdominal pain": "Douleur abdominale",
    "Hoarseness": "Dysphonie",
    "Upper gastrointestinal hemorrhage": "Hémorragie digestive haute",
    "Platelet count decreased": "Thrombopénie",
    "Ascites": "Ascite",
    "Fever": "Fièvre",
    "Intra-abdominal hemorrhage": "Hémopéritoine",
    "Hepatic infection": "Abcès hépatique",
    "Pleural effusion": "Épanchement pleural",
    "Pneumothorax": "Pneumothorax",
    "Biliary fistula": "Fistule biliaire",
    "Colonic perforation": "Perforation colique",
    "Hepatic failure": "Insuffisance hépatique",
    "Hematoma": "Hématome",
    "Burn": "Brûlure",
    "Pain": "Douleur",
    "Portal vein thrombosis": "Thrombose porte",
}
FR01 = Dialect(
    encoding="cp1252",
    delimiter=";",
    decimal=",",
    missing=("ND", "NR", ""),
    date=lambda day: f"{day:%d/%m/%Y}",
    subject=lambda number: f"{number:04d}",
    afp_limits=(2, None),
    typos={"Homme": "Hmome", "Femme": "Feme"},
    unknown_unit="µmol/dl/j",
    labs=_labs(
        ALB=("Albumine", "g/l", "g/L", 50, 1),
        BILI=("Bilirubine totale", "µmol/l", "umol/L", 21, 1),
        ALT=("ALAT", "UI/l", "U/L", 45, 0),
        AST=("ASAT", "UI/l", "U/L", 35, 0),
        ALP=("PAL", "UI/l", "U/L", 120, 0),
        GGT=("GGT", "UI/l", "U/L", 55, 0),
        INR=("INR", "INR", "INR", 1.2, 2),
        PLT=("Plaquettes", "G/l", "10^9/L", 400, 0),
        AFP=("AFP", "ng/ml", "ng/mL", 10, 1),
        CREA=("Créatinine", "µmol/l", "umol/L", 104, 0),
    ),
    tables={
        "patients": ExportTable(
            "patients.csv",
            _columns(
                subject_id="N° dossier",
                sex=("Sexe", {"M": "Homme", "F": "Femme"}),
                birth_date="Date de naissance",
                etiology=("Étiologie", {"HBV": "VHB", "HCV": "VHC", "Alcohol": "Alcool", "Other": "Autre"}),
                antiviral=("Traitement antiviral", _OUI_NON),
                cirrhosis=("Cirrhose", _OUI_NON),
                ecog="OMS",
                recurrent_hcc=("CHC récidivant", _OUI_NON),
                tumour_count="Nombre de nodules",
                largest_tumour_cm="Plus grand diamètre (cm)",
                vascular_invasion=("Invasion vasculaire", _OUI_NON),
                extrahepatic_spread=("Métastases", _OUI_NON),
                ascites=("Ascite", {"none": "Absente", "mild": "Modérée", "moderate_severe": "Tendue"}),
                encephalopathy=(
                    "Encéphalopathie",
                    {
                        "none": "Absente",
                        "grade_1_2": "Stade 1-2",
                        "grade_3_4": "Stade 3-4",
                    },
                ),
                prior_systemic_therapy=("Traitement systémique antérieur", _OUI_NON),
                recorded_bclc="BCLC",
                vital_status=("État", {"alive": "vivant", "dead": "décédé"}),
                death_date="Date de décès",
                last_contact_date="Dernières nouvelles",
            ),
        ),
        "ablations": ExportTable(
            "radiofrequence.csv",
            _columns(
                subject_id="N° dossier",
                ablation_date="Date de la séance",
                tumour_no="Nodule",
                tumour_diameter_cm="Diamètre (cm)",
                guidance=("Guidage", {"US": "Échographie", "CT": "Scanner"}),
                complete_ablation=("Ablation complète", _OUI_NON),
                complication_term=("Complication", _FR_TERMS),
                complication_clavien_dindo="Clavien-Dindo",
                complication_cirse="CIRSE",
                complication_date="Date de la complication",
            ),
        ),
        "drug_exposure": ExportTable(
            "traitements.csv",
            _columns(
                subject_id="N° dossier",
                drug=("Médicament", {"sorafenib": "Nexavar"}),
                start_date="Début",
                end_date="Fin",
                daily_dose_mg="Dose/jour (mg)",
                change_reason=(
                    "Motif",
                    _coded(
                        REASONS, "Effet indésirable", "Progression", "Choix du patient", "Prévu", "Décès", "En cours"
                    ),
                ),
            ),
        ),
        "imaging": ExportTable(
            "imagerie.csv",
            _columns(
                subject_id="N° dossier",
                imaging_date="Date",
                modality=("Examen", {"CT": "TDM", "MRI": "IRM", "CEUS": "Écho de contraste"}),
                finding=(
                    "Résultat",
                    _coded(
                        FINDINGS,
                        "Absence de récidive",
                        "Progression locale",
                        "Récidive à distance dans le foie",
                        "Métastase",
                        "Progression locale et à distance",
                        "Récidive à distance et métastase",
                        "Progression locale et métastase",
                        "Récidive sans précision",
                    ),
                ),
                ltp_tumours="Nodule en progression",
            ),
        ),
        "labs": ExportTable(
            "biologie.csv",
            _columns(
                subject_id="N° dossier",
                sample_date="Prélèvement",
                test="Analyse",
                value="Résultat",
                unit="Unité",
                uln="Limite supérieure",
            ),
        ),
        "adverse_events": ExportTable(
            "evenements.csv",
            _columns(
                subject_id="N° dossier",
                term=("Événement indésirable", _FR_TERMS),
                grade="Grade",
                start_date="Début",
                end_date="Fin",
                serious=("Grave", _OUI_NON),
                related_drug=("Imputable au médicament", _OUI_NON),
                related_rfa=("Imputable à la radiofréquence", _OUI_NON),
                action=(
                    "Conduite",
                    {
                        "none": "Aucune",
                        "reduced": "Réduction",
                        "interrupted": "Suspension",
                        "stopped": "Arrêt",
                    },
                ),
                outcome=(
                    "Évolution",
                    {
                        "recovered": "Guérison",
                        "recovering": "En amélioration",
                        "not_recovered": "Non guéri",
                        "fatal": "Décès",
                    },
                ),
            ),
        ),
    },
)

# --- it01: a workbook of text cells, decimal commas, dotted dates; laboratory as CSV --------

_SI_NO = {"Y": "Sì", "N": "No"}
IT01 = Dialect(
    encoding="utf-8",
    delimiter=";",
    decimal=",",
    missing=("n.d.", "", "non eseguito"),
    date=lambda day: f"{day:%d.%m.%Y}",
    subject=lambda number: f"MI{number:05d}",
    afp_limits=(1.5, None),
    typos={"Maschio": "Macshio", "Femmina": "Femina"},
    unknown_unit="mg/dll",
    labs=_labs(
        ALB=("Albumina", "g/dL", "g/dL", 5.0, 1),
        BILI=("Bilirubina totale", "mg/dL", "mg/dL", 1.2, 2),
        ALT=("ALT (GPT)", "U/L", "U/L", 41, 0),
        AST=("AST (GOT)", "U/L", "U/L", 37, 0),
        ALP=("Fosfatasi alcalina", "U/L", "U/L", 129, 0),
        GGT=("Gamma-GT", "U/L", "U/L", 60, 0),
        INR=("PT-INR", "INR", "INR", 1.2, 2),
        PLT=("Piastrine", "x10^3/µL", "10^3/uL", 400, 0),
        AFP=("Alfa-fetoproteina", "UI/mL", "IU/mL", 7, 1),
        CREA=("Creatinina", "mg/dL", "mg/dL", 1.2, 2),
    ),
    tables={
        "patients": ExportTable(
            "estrazione.xlsx",
            _columns(
                subject_id="Codice paziente",
                sex=("Sesso", {"M": "Maschio", "F": "Femmina"}),
                age_years="Età",
                etiology=("Eziologia", {"HBV": "HBV", "HCV": "HCV", "Alcohol": "Alcolica", "Other": "Altro"}),
                antiviral=("Terapia antivirale", _SI_NO),
                cirrhosis=("Cirrosi", _SI_NO),
                ecog="ECOG PS",
                recurrent_hcc=("Recidiva di HCC", _SI_NO),
                tumour_count="Numero noduli",
                largest_tumour_cm="Diametro massimo (cm)",
                vascular_invasion=("Invasione vascolare", _SI_NO),
                extrahepatic_spread=("Malattia extraepatica", _SI_NO),
                ascites=("Ascite", {"none": "Assente", "mild": "Lieve", "moderate_severe": "Moderata-severa"}),
                encephalopathy=(
                    "Encefalopatia",
                    {"none": "Assente", "grade_1_2": "Grado 1-2", "grade_3_4": "Grado 3-4"},
                ),
                prior_systemic_therapy=("Terapia sistemica precedente", _SI_NO),
                recorded_bclc="BCLC",
                vital_status=("Stato", {"alive": "vivo", "dead": "deceduto"}),
                death_date="Data del decesso",
                last_contact_date="Ultimo contatto",
            ),
            "Pazienti",
        ),
        "ablations": ExportTable(
            "estrazione.xlsx",
            _columns(
                subject_id="Codice paziente",
                ablation_date="Data RF",
                tumour_no="Nodulo",
                tumour_diameter_cm="Diametro (cm)",
                guidance=("Guida", {"US": "Ecografia", "CT": "TC"}),
                complete_ablation=("Ablazione completa", _SI_NO),
                complication_term="Complicanza (CTCAE)",
                complication_clavien_dindo="Clavien-Dindo",
                complication_cirse="CIRSE",
                complication_date="Data della complicanza",
            ),
            "Radiofrequenza",
        ),
        "drug_exposure": ExportTable(
            "estrazione.xlsx",
            _columns(
                subject_id="Codice paziente",
                drug=("Farmaco", {"sorafenib": "Sorafenib"}),
                start_date="Inizio",
                end_date="Fine",
                daily_dose_mg="Dose giornaliera (mg)",
                change_reason=(
                    "Motivo",
                    _coded(
                        REASONS,
                        "Evento avverso",
                        "Progressione",
                        "Scelta del paziente",
                        "Programmato",
                        "Decesso",
                        "In corso",
                    ),
                ),
            ),
            "Terapia",
        ),
        "imaging": ExportTable(
            "estrazione.xlsx",
            _columns(
                subject_id="Codice paziente",
                imaging_date="Data esame",
                modality=("Metodica", {"CT": "TC", "MRI": "RM", "CEUS": "CEUS"}),
                finding=(
                    "Esito",
                    _coded(
                        FINDINGS,
                        "Negativo",
                        "LTP",
                        "Recidiva a distanza",
                        "Extraepatica",
                        "LTP e recidiva a distanza",
                        "Recidiva a distanza ed extraepatica",
                        "LTP ed extraepatica",
                        "Recidiva n.s.",
                    ),
                ),
                ltp_tumours="Nodulo in progressione",
            ),
            "Imaging",
        ),
        "labs": ExportTable(
            "laboratorio.csv",
            _columns(
                subject_id="Codice paziente",
                sample_date="Data prelievo",
                test="Esame",
                value="Risultato",
                unit="Unità",
                uln="Limite superiore",
            ),
        ),
        "adverse_events": ExportTable(
            "estrazione.xlsx",
            _columns(
                subject_id="Codice paziente",
                term="Evento (CTCAE v5.0)",
                soc="SOC",
                grade="Grado",
                start_date="Inizio",
                end_date="Fine",
                serious=("Grave", _SI_NO),
                related_drug=("Correlato al farmaco", _SI_NO),
                related_rfa=("Correlato a RF", _SI_NO),
                action=(
                    "Azione",
                    {
                        "none": "Nessuna",
                        "reduced": "Riduzione",
                        "interrupted": "Sospensione",
                        "stopped": "Interruzione definitiva",
                    },
                ),
                outcome=(
                    "Esito",
                    {
                        "recovered": "Risolto",
                        "recovering": "In miglioramento",
                        "not_recovered": "Non risolto",
                        "fatal": "Fatale",
                    },
                ),
            ),
            "Eventi avversi",
        ),
    },
)

# --- jp01: CSV in UTF-8, Japanese, wide labs --------

_ARI_NASHI = {"Y": "あり", "N": "なし"}
JP01 = Dialect(
    missing=("", "未測定", "不明"),
    date=lambda day: f"{day:%Y/%m/%d}",
    subject=lambda number: f"{2000000 + 13 * number}",
    wide_labs=True,
    far_east=True,
    afp_limits=(1, None),
    typos={"男性": "男生", "女性": "女生"},
    labs=_labs(
        ALB=("アルブミン(g/dL)", "g/dL", "g/dL", 5.1, 1),
        BILI=("総ビリルビン(mg/dL)", "mg/dL", "mg/dL", 1.2, 1),
        ALT=("ALT(U/L)", "U/L", "U/L", 42, 0),
        AST=("AST(U/L)", "U/L", "U/L", 30, 0),
        ALP=("ALP(U/L)", "U/L", "U/L", 113, 0),
        GGT=("γ-GTP(U/L)", "U/L", "U/L", 64, 0),
        INR=("PT-INR", "INR", "INR", 1.15, 2),
        PLT=("血小板(万/μL)", "万/μL", "10^4/uL", 34.8, 1),
        AFP=("AFP(ng/mL)", "ng/mL", "ng/mL", 10, 0),
        CREA=("クレアチニン(mg/dL)", "mg/dL", "mg/dL", 1.07, 2),
    ),
    tables={
        "patients": ExportTable(
            "kanja.csv",
            _columns(
                subject_id="患者番号",
                sex=("性別", {"M": "男性", "F": "女性"}),
                birth_date="生年月日",
                etiology=("成因", {"HBV": "B型", "HCV": "C型", "Alcohol": "アルコール", "Other": "その他"}),
                antiviral=("抗ウイルス療法", _ARI_NASHI),
                cirrhosis=("肝硬変", _ARI_NASHI),
                ecog="PS",
                recurrent_hcc=("初発・再発", {"Y": "再発", "N": "初発"}),
                tumour_count="腫瘍個数",
                largest_tumour_cm="最大腫瘍径(mm)",
                vascular_invasion=("脈管侵襲", _ARI_NASHI),
                extrahepatic_spread=("肝外転移", _ARI_NASHI),
                ascites=("腹水", {"none": "なし", "mild": "軽度", "moderate_severe": "中等度以上"}),
                encephalopathy=("肝性脳症", {"none": "なし", "grade_1_2": "1-2度", "grade_3_4": "3-4度"}),
                prior_systemic_therapy=("全身療法歴", _ARI_NASHI),
                recorded_bclc="BCLC",
                vital_status=("転帰", {"alive": "生存", "dead": "死亡"}),
                death_date="死亡日",
                last_contact_date="最終生存確認日",
            ),
        ),
        "ablations": ExportTable(
            "rfa.csv",
            _columns(
                subject_id="患者番号",
                ablation_date="治療日",
                tumour_no="結節番号",
                tumour_diameter_cm="腫瘍径(mm)",
                guidance=("ガイド", {"US": "超音波", "CT": "CT"}),
                complete_ablation=("完全焼灼", {"Y": "はい", "N": "いいえ"}),
                complication_term="合併症(CTCAE)",
                complication_clavien_dindo="Clavien-Dindo分類",
                complication_sir=("SIR分類", _coded(SIR, "軽度", "中等度", "重度", "生命を脅かす", "死亡")),
                complication_date="合併症発現日",
            ),
        ),
        "drug_exposure": ExportTable(
            "toyaku.csv",
            _columns(
                subject_id="患者番号",
                drug=("薬剤", {"sorafenib": "ソラフェニブ"}),
                start_date="開始日",
                end_date="終了日",
                daily_dose_mg="1日量(mg)",
                change_reason=("変更理由", _coded(REASONS, "有害事象", "進行", "患者希望", "予定", "死亡", "継続中")),
            ),
        ),
        "imaging": ExportTable(
            "gazo.csv",
            _columns(
                subject_id="患者番号",
                imaging_date="検査日",
                modality=("検査", {"CT": "造影CT", "MRI": "EOB-MRI", "CEUS": "造影超音波"}),
                finding=(
                    "所見",
                    _coded(
                        FINDINGS,
                        "再発なし",
                        "局所再発",
                        "異所性再発",
                        "肝外再発",
                        "局所再発・異所性再発",
                        "異所性再発・肝外再発",
                        "局所再発・肝外再発",
                        "再発(部位不明)",
                    ),
                ),
                ltp_tumours="局所再発結節番号",
            ),
        ),
        "labs": ExportTable("kensa.csv", _columns(subject_id="患者番号", sample_date="採血日")),
        "adverse_events": ExportTable(
            "yugai.csv",
            _columns(
                subject_id="患者番号",
                term="有害事象(CTCAE v5.0)",
                soc="SOC",
                grade="Grade",
                start_date="発現日",
                end_date="回復日",
                serious=("重篤", _ARI_NASHI),
                related_drug=("薬剤との関連", _ARI_NASHI),
                related_rfa=("RFAとの関連", _ARI_NASHI),
                action=("処置", {"none": "なし", "reduced": "減量", "interrupted": "休薬", "stopped": "中止"}),
                outcome=(
                    "転帰",
                    {"recovered": "回復", "recovering": "軽快", "not_recovered": "未回復", "fatal": "死亡"},
                ),
            ),
        ),
    },
)

# --- us01: CSV in UTF-8 with a byte order mark, US dates, conventional units --------

_ONE_ZERO = {"Y": "1", "N": "0"}
US01 = Dialect(
    encoding="utf-8-sig",
    missing=("-99", "."),
    date=lambda day: f"{day:%m/%d/%Y}",
    subject=lambda number: f"101-{number:04d}",
    afp_limits=(0.8, None),
    typos={"Male": "Mael", "Female": "Femlae"},
    unknown_unit="mgs%",
    labs=_labs(
        ALB=("Albumin", "g/dL", "g/dL", 5.0, 1),
        BILI=("Bilirubin, total", "mg/dL", "mg/dL", 1.2, 1),
        ALT=("ALT", "U/L", "U/L", 56, 0),
        AST=("AST", "U/L", "U/L", 40, 0),
        ALP=("Alkaline phosphatase", "U/L", "U/L", 130, 0),
        GGT=("GGT", "U/L", "U/L", 61, 0),
        INR=("INR", "ratio", "ratio", 1.1, 1),
        PLT=("Platelets", "K/uL", "K/uL", 400, 0),
        AFP=("AFP, serum", "ng/mL", "ng/mL", 8.3, 1),
        CREA=("Creatinine", "mg/dL", "mg/dL", 1.2, 2),
    ),
    tables={
        "patients": ExportTable(
            "demographics.csv",
            _columns(
                subject_id="SUBJECT",
                age_years="AGE",
                sex=("GENDER", {"M": "Male", "F": "Female"}),
                etiology=(
                    "ETIOLOGY",
                    {"HBV": "Hepatitis B", "HCV": "Hepatitis C", "Alcohol": "ALD", "Other": "Other/NASH"},
                ),
                antiviral=("ANTIVIRAL_RX", _ONE_ZERO),
                cirrhosis=("CIRRHOSIS", _ONE_ZERO),
                ecog="ECOG",
                recurrent_hcc=("RECURRENT", _ONE_ZERO),
                tumour_count="N_LESIONS",
                largest_tumour_cm="MAX_SIZE_CM",
                vascular_invasion=("MVI", _ONE_ZERO),
                extrahepatic_spread=("METS", _ONE_ZERO),
                ascites=("ASCITES", {"none": "none", "mild": "slight", "moderate_severe": "moderate-severe"}),
                encephalopathy=("HE", {"none": "none", "grade_1_2": "1-2", "grade_3_4": "3-4"}),
                prior_systemic_therapy=("PRIOR_SYSTEMIC", _ONE_ZERO),
                recorded_bclc="BCLC_STAGE",
                vital_status=("VITAL", {"alive": "A", "dead": "D"}),
                death_date="DOD",
                last_contact_date="LAST_CONTACT",
            ),
        ),
        "ablations": ExportTable(
            "rfa_procedures.csv",
            _columns(
                subject_id="SUBJECT",
                ablation_date="PROC_DATE",
                tumour_no="LESION",
                tumour_diameter_cm="SIZE_CM",
                guidance="GUIDANCE",
                complete_ablation=("COMPLETE", _ONE_ZERO),
                complication_term="COMPLICATION",
                complication_clavien_dindo="CLAVIEN_DINDO",
                complication_cirse="CIRSE",
                complication_sir=("SIR_2017", _coded(SIR, "Mild", "Moderate", "Severe", "Life-threatening", "Death")),
                complication_date="COMPLICATION_DATE",
            ),
        ),
        "drug_exposure": ExportTable(
            "medications.csv",
            _columns(
                subject_id="SUBJECT",
                drug=("MED", {"sorafenib": "NEXAVAR"}),
                start_date="START",
                end_date="STOP",
                daily_dose_mg="MG_PER_DAY",
                change_reason=(
                    "REASON",
                    _coded(REASONS, "Toxicity", "Progression", "Patient preference", "Per plan", "Death", "Continuing"),
                ),
            ),
        ),
        "imaging": ExportTable(
            "imaging.csv",
            _columns(
                subject_id="SUBJECT",
                imaging_date="SCAN_DATE",
                modality="MODALITY",
                finding=(
                    "IMPRESSION",
                    _coded(
                        FINDINGS,
                        "No evidence of recurrence",
                        "Local tumor progression",
                        "Distant intrahepatic",
                        "Extrahepatic",
                        "Local + distant intrahepatic",
                        "Distant intrahepatic + extrahepatic",
                        "Local + extrahepatic",
                        "Recurrence NOS",
                    ),
                ),
                ltp_tumours="LTP_LESION",
            ),
        ),
        "labs": ExportTable(
            "labs.csv",
            _columns(
                subject_id="SUBJECT",
                sample_date="COLLECTED",
                test="COMPONENT",
                value="RESULT",
                unit="UNITS",
                uln="REF_HIGH",
            ),
        ),
        "adverse_events": ExportTable(
            "adverse_events.csv",
            _columns(
                subject_id="SUBJECT",
                term="AE_TERM",
                soc="SOC",
                grade="GRADE",
                start_date="ONSET",
                end_date="RESOLVED",
                serious=("SERIOUS", _ONE_ZERO),
                related_drug=("REL_DRUG", _ONE_ZERO),
                related_rfa=("REL_RFA", _ONE_ZERO),
                action=(
                    "ACTION",
                    {
                        "none": "Dose not changed",
                        "reduced": "Dose reduced",
                        "interrupted": "Drug interrupted",
                        "stopped": "Drug withdrawn",
                    },
                ),
                outcome=(
                    "OUTCOME",
                    {
                        "recovered": "Resolved",
                        "recovering": "Resolving",
                        "not_recovered": "Not resolved",
                        "fatal": "Fatal",
                    },
                ),
            ),
        ),
    },
)

DIALECTS: Mapping[str, Dialect] = {
    "cn01": CN01,
    "cn02": CN02,
    "fr01": FR01,
    "it01": IT01,
    "jp01": JP01,
    "us01": US01,
}
"""Centre -> its habits."""
