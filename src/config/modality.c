#include "modality.h"

#include "base/attr.h"

static const char *const terms[] = {
    "CT",         "MR",       "US",         "CR",       "DX",  "MG",         "PT",      "NM",       "XA",
    "RF",         "ANN",      "AR",         "ASMT",     "AU",  "BDUS",       "BI",      "BMD",      "CFM",
    "CTPROTOCOL", "DG",       "DMS",        "DOC",      "ECG", "EEG",        "EMG",     "EOG",      "EPS",
    "ES",         "FID",      "GM",         "HC",       "HD",  "IO",         "IOL",     "IVOCT",    "IVUS",
    "KER",        "KO",       "LEN",        "LS",       "M3D", "OAM",        "OCT",     "OP",       "OPM",
    "OPT",        "OPTBSV",   "OPTENF",     "OPV",      "OSS", "OT",         "PA",      "PLAN",     "POS",
    "PR",         "PX",       "REG",        "RESP",     "RG",  "RTDOSE",     "RTIMAGE", "RTINTENT", "RTPLAN",
    "RTRAD",      "RTRECORD", "RTSEGANN",   "RTSTRUCT", "RWV", "SEG",        "SM",      "SMR",      "SR",
    "SRF",        "STAIN",    "TEXTUREMAP", "TG",       "VA",  "XAPROTOCOL", "XC",
};
static const char *const retired[] = {
    "AS", "CD", "CF", "CP", "CS", "DD", "DF", "DM", "DS", "EC", "FA", "FS", "LP", "MA", "MS", "OPR", "ST", "VF",
};

static bool is_among(struct str word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(word, str_of(list[i])))
            return true;
    return false;
}

bool modality_is_defined(struct str word)
{
    return is_among(word, terms, ARRAY_LEN(terms)) || is_among(word, retired, ARRAY_LEN(retired));
}

struct nearest_text modality_hint(struct str word)
{
    return nearest_hint_of(word, terms, ARRAY_LEN(terms));
}
