/* advice.h - what a person does about the end of a study: one text for each state and reason of study/state.h.
 * Owns: the texts.  Never: is empty for a state or reason that can be met.  Threads: any; all constant. */
#ifndef PIXL_CLI_ADVICE_H
#define PIXL_CLI_ADVICE_H

#include "study/state.h"

const char *advice_on_state(enum study_state s);
const char *advice_on_reason(enum study_reason r);       /* "" for STUDY_WHY_NONE */

#endif
