#include "advice.h"

#include <assert.h>

static const char *const on_state[STUDY_STATE_COUNT] = {
    [STUDY_QUEUED] = "Nothing, while a run is on; else `pixl run`.",
    [STUDY_RETRIEVING] = "Nothing: a claim whose worker has died is given back by the next run.",
    [STUDY_DEIDENTIFIED] = "Nothing, while a run is on; else `pixl run`. When it stays: is the destination there (`pixl check`)?",
    [STUDY_DELIVERING] = "Nothing: a claim whose worker has died is given back by the next run.",
    [STUDY_EXPORTED] = "Nothing.",
    [STUDY_KEPT] = "Its zip lies in the spool of the state directory; nothing takes it away.",
    [STUDY_MISSING] = "Ask the archive's people. When it is there: `pixl retry REF`.",
    [STUDY_SKIPPED] = "Nothing: a rule says so. When the rule was wrong: change it, then `pixl retry REF`.",
    [STUDY_FAILED] = "By its reason, below; then `pixl retry REF`.",
    [STUDY_WITHHELD] = "`pixl trace REF` names the place, never the value. Change the rule of that element, or leave the study out.",
    [STUDY_HELD] = "When it is wanted: populate the cohort again, or `pixl retry REF`.",
    [STUDY_ADOPTED] = "When it is wanted: populate a cohort that names it, or `pixl retry REF`.",
};

static const char *const on_reason[STUDY_REASON_COUNT] = {
    [STUDY_WHY_NONE] = "",
    [STUDY_WHY_NOT_IN_ARCHIVE] =
        "Is the number right, is it in another archive, does it come later? Nothing to do at night.",
    [STUDY_WHY_NOT_IN_PRIMARY] = "Nothing: the secondary archive is asked, in its hours.",
    [STUDY_WHY_IDENTITY_MISMATCH] =
        "Never overrule it. Tell the archive's people: two patients' images are under one study.",
    [STUDY_WHY_UNREADABLE_INSTANCE] =
        "Have the file mended or taken out of the study; or `on_instance_error: deliver` in the project.",
    [STUDY_WHY_UNSUPPORTED_SYNTAX] = "Have the archive give it in a standard transfer syntax.",
    [STUDY_WHY_INCOMPLETE] =
        "Are all its instances online in the archive? Retry; if it fails again, ask the archive's people.",
    [STUDY_WHY_CHANGED_WHILE_READ] = "Somebody writes into the archive: retry when that has ended.",
    [STUDY_WHY_TOO_LARGE] =
        "Is it one study? Then raise PIXL_MAX_STUDY_GIB and retry; a limit of one instance cannot be raised.",
    [STUDY_WHY_NO_INSTANCES_LEFT] = "Nothing. `pixl trace REF` counts which rule left out what.",
    [STUDY_WHY_SERIES_NOT_REQUESTED] = "Nothing: the cohort names the series that it wants.",
    [STUDY_WHY_TOO_FEW_INSTANCES] = "Nothing; or lower min_instances_per_series in the project.",
    [STUDY_WHY_MODALITY] = "Nothing; or add the modality to the project, with the tag operations that it needs.",
    [STUDY_WHY_MANUFACTURER] =
        "Nothing; or add it to allowed_manufacturers in the project. From an older pixl: it may also be absent.",
    [STUDY_WHY_NO_MANUFACTURER] =
        "Nothing; or have the archive's people complete it: no regex of allowed_manufacturers matches what is absent.",
    [STUDY_WHY_SERIES_DESCRIPTION] = "Nothing; or change series_filters in the project.",
    [STUDY_WHY_SERIES_NUMBER] = "Nothing; or change exclude_series_numbers in the project.",
    [STUDY_WHY_DUPLICATE_INSTANCE] = "Find out which of the two files is right; neither is delivered.",
    [STUDY_WHY_MISSING_ATTRIBUTE] =
        "Have the archive's people complete the file; or leave it out by `on_instance_error: deliver`.",
    [STUDY_WHY_UNSUPPORTED_VALUE] =
        "`pixl trace REF` names the element: let the project delete it, or have the file mended.",
    [STUDY_WHY_PIXELS_NOT_CLEANED] =
        ("Nothing: it has no ultrasound regions, is compressed, or its layout is not one that can be cleaned. `pixl "
         "trace REF` names the element. From an older pixl: it may also be burned-in or overlay-in-pixels."),
    [STUDY_WHY_BURNED_IN] =
        ("Nothing: text in pixels is not delivered, unless the project's image_operation_files clean it, or its "
         "burned_in_annotation says deliver."),
    [STUDY_WHY_OVERLAY_IN_PIXELS] =
        ("Nothing; or have the archive's people give the image without that overlay. `pixl trace REF` names the "
         "element."),
    [STUDY_WHY_RESIDUE] = "Never overrule it at night. The element that `pixl trace REF` names needs another rule.",
    [STUDY_WHY_SAME_STUDY] = "Nothing: look at the row that delivers it.",
    [STUDY_WHY_DELIVERED_BEFORE] = "Nothing at night. What was delivered stays as it is.",
    [STUDY_WHY_ARCHIVE_ERROR] = "`pixl retry REF`; when it comes again, have the archive's people look at this study.",
    [STUDY_WHY_DEIDENTIFY_ERROR] =
        "`pixl trace REF` names the error. Retry once; then keep the file for the makers of pixl.",
    [STUDY_WHY_SPOOL_ERROR] = "Look at the disk of the state directory (`pixl check`, dmesg), then retry.",
    [STUDY_WHY_DELIVERY_ERROR] = "Look at the destination (`pixl check`), then retry: the archive is not asked again.",
    [STUDY_WHY_CONFIGURATION] = "`pixl config check`; mend the project's file, then retry.",
    [STUDY_WHY_CRASHED] = "It is left out by itself, the others go on. Keep the study for the makers of pixl.",
    [STUDY_WHY_UNAVAILABLE] =
        "Nothing: it is tried again. When all wait for it: is the archive or destination up (`pixl check`)?",
    [STUDY_WHY_LEASE_LOST] = "Nothing: it goes on.",
    [STUDY_WHY_STOPPED] = "Nothing: the next run goes on with it.",
};

const char *advice_on_state(enum study_state s)
{
    assert(s < STUDY_STATE_COUNT);
    return on_state[s] != NULL ? on_state[s] : "";
}

const char *advice_on_reason(enum study_reason r)
{
    assert(r < STUDY_REASON_COUNT);
    return on_reason[r] != NULL ? on_reason[r] : "";
}
