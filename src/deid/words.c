#include "words.h"

#include "base/attr.h"

/* clang-format off */
const char *const words_of[WORD_CLASSES] = {
    [WORD_STOP] =
        "patient patients name unknown none test anonymous anonymized anonymised anonymize anon null "
        "phantom image images study studies series scan scans mri mra pet xray ct mr dicom sample samples "
        "example demo female and for with without not yes the from this that mrs miss sir prof phd "
        "jun jnr snr iii esq herr frau von van der den del della dello des dos ten ter los las aus "
        "dem het bin bint ibn abu zur zum und protocol routine spiral tissue angio contrast matter cardiac",
    [WORD_STOP_TITLED] = "page male adult das les san",
    [WORD_STOP_PERSON] =
        "tech technician technologist user admin administrator service doctor physician radiology radiologist "
        "operator hospital clinic department dept staff nurse group team system manufacturer medical imaging "
        "center centre university research default other self siemens philips toshiba canon hitachi general "
        "electric",
    [WORD_PLACE] =
        "head neck hand hands foot feet chest spine brain knee knees heart lung lungs arm arms leg legs hip "
        "hips back bone bones skull abdomen pelvis thorax liver body face eye eyes ear ears nose mouth tongue "
        "jaw chin cheek shoulder elbow wrist finger thumb ankle heel toe toes rib ribs breast skin palm sole "
        "shank calf thigh nail kidney bladder spleen colon aorta trunk stem root crown arch base tip apex "
        "pole wall cavity chamber chambers left right upper lower middle medial lateral axial sagittal "
        "coronal oblique transverse frontal front rear side north south east west top bottom inner outer "
        "proximal distal superior inferior anterior posterior cor tra sag lat obl sin dex cap abd ext int inf "
        "sup ant post med hals kopf bein herz haut brust knie rucken schulter bauch becken lunge leber niere "
        "auge nase mund zahn haupt links rechts mitte quer oben unten vorn hinten bras main pied tete coeur "
        "droit gauche genou cabeza mano pie corazon cuello pecho testa collo petto gamba costa delgado been "
        "rug 上野 中野 下野 左右 上下 方向 正面 側面 背面",
    [WORD_ORDINARY] =
        "long short small large big little great high low deep wide broad narrow thin thick fine coarse hard "
        "soft sharp blunt strong weak light dark bright clear dense heavy quick fast slow swift early late "
        "young old new good best better bad poor rich free full whole half single simple plain mild severe "
        "rough smooth true real major minor junior senior close open just still even ever less more most next "
        "last first second third warm cold cool hot dry wet moist grand fair frank common black white brown "
        "gray grey green blue red pink orange purple yellow gold silver olive ivory may march april june "
        "august jan feb mar apr jul aug sep sept oct nov dec mai juni juli maj spring easter christmas day "
        "days week night morning noon monday friday sunday sat sun mon hour year time times age past prior "
        "season park parks field fields cross stone stones star stars wave waves water waters sand bay bridge "
        "tree branch leaf iris path way house houses home room rooms gate gates ward wards guard driver "
        "porter marker tracer reader leader child children baby boy boys girl man men woman women guy son "
        "friend guest person people swan hart fish ray bolt ball band beam belt book boots bow box brace "
        "brand brush cable cage can car card care case cast catch cave chain clamp clip coil coin cone core "
        "corner count cover crack cure curl curve cut cutter dent dial disc dock dome don dose down downs "
        "drain draw drew drive drop dust dye edge end exam fall fan fear feed file fill film find fire fit "
        "flag flash flat flow fold force fork form foster frame gain game gap gene glass glove grave graph "
        "grid grip groove gross ground grow guide gun hair hammer heat held help hole hold hood hook horn ice "
        "inch iron joint keen key kind kit lead lean lift limb line link list load lock look loop loss lump "
        "mark marks mask mass match max mean means medic melt mesh mind mix model mold move near neat needle "
        "net norm note notch one pace pack pad pain paint pair pan part parts pass pat patch peak peel pen "
        "per phase pick pin pine pins pipe place plan plane plant plate point pool port pound power prime "
        "pulse push quarter rack ramp range rank read rest ring rings rise rod roll rope round row rule run "
        "rush saddle sail salt save say scale seal search seat see sense set shade shadow shaft shape sheet "
        "shell shield shift shine ship shock shot show shower shunt sign sim sink six size slack sleep slice "
        "slide slight slim slope sound space span speed spin spot spread spur square stack staff stage staple "
        "start state steel step stick stop strain strand straw stream strip swing switch table tail tank tap "
        "taper target tell text thread tie till tilt tim tin tone tool torn touch trace track trail train "
        "tray treat trial trip trust tube tune turn twin two type union unit ute valve vein vest via view "
        "vision voice wait wake walk want war wash waste watch wear weight well wells wheel will window wing "
        "wire word words work bravo cube dixon flair haste ideal lava merge optima prisma propeller signa "
        "titan twist vibe vivid emotion klein lang lange kurz kurze jung alt neu schwarz weiss braun grau "
        "grun rot blau hoch tief breit schmal schnell scharf weich stark fein ganz halb voll frei gut kern "
        "rand kranz faden nagel stein berg morgen abend sturz schlag schmerz blanc noir petit gros mars avril "
        "juin blanco negro rojo alto bajo largo medio campo grueso bianco nero grande piccolo lungo corto wit "
        "zwart groot kort jong ung stor 高峰 明显 正常 成像 平安 成功 高度 安全 이상 정상 조영 영상 유방 전신 고정 min art arc",
    [WORD_CODE] =
        "original derived primary secondary localizer scout reformatted projection volume average maximum "
        "minimum median sampled mixed static dynamic gated magnitude imaginary complex fat inphase outphase "
        "addition subtraction subtract mosaic normal normalized distortion dis2d dis3d filtered monochrome "
        "palette color segmented linear sigmoid identity rectangle circular polygonal hexagonal sector "
        "portrait landscape breath respiratory prospective retrospective helical sequenced "
        "constant conventional stationary recumbent prone supine decubitus erect semierect standing sitting "
        "unpaired bilateral both unilateral general custom lossy lossless displayed stored auto manual fixed "
        "variable multiple partial complete completed incomplete verified unverified unverify started "
        "discontinued scheduled arrived ready approved unapproved rejected polyline polyline2d interpolated "
        "circle ellipse freehand infinite matrix bitmap graphic code numeric container datetime date uidref "
        "composite waveform pixel visual contains property inferred selected subject concept separate "
        "continuous tungsten molybdenum rhodium aluminum copper titanium tantalum niobium europium beryllium "
        "cesium gadolinium selenium storage scintillator direct indirect slot area photon counting "
        "mammographic photo coned magnification cleavage axillary tangential rolled caudocranial caldwell "
        "towne stenvers judet rosenberg merchant swimmers lordotic frogleg tunnel skyline mortise apical "
        "antecubital appendix artery axilla biliary bronchus buttock calcaneus carotid cerebellum "
        "cervix clavicle coccyx cornea cspine cervicalspine lspine tspine ctspine lumbar thoracic duodenum "
        "esophagus extremity femur fibula forearm gallbladder gland humerus hypothalamus ileum ilium iliac "
        "jejunum larynx mandible mandibula maxilla mastoid mediastinum orbit orbits ovary pancreas "
        "parathyroid parotid patella penis pharynx prostate radius rectum sacrum scalp scapula sclera scrotum "
        "sella sinus sinuses sternum stomach testis thymus thyroid tibia trachea ulna umbilical ureter "
        "urethra uterus vagina vulva zygoma wholebody headneck vessel intracranial extracranial gradient echo "
        "inversion planar recovery spoiled steady reversed oversampling magprepared nav navigator external "
        "internal transmit receive surface multicoil quadrature bodycoil enema oral rectal "
        "intravenous positive negative emission transmission attenuation decay admin corrected calibration "
        "uniformity human veterinary organ organism other quadruped biped screening diagnostic research "
        "unspecified presentation processing request report template",
};
/* clang-format on */

const char *const words_titles = "mr mrs ms miss dr prof sir herr frau hr mme mlle mademoiselle madame monsieur sra "
                                 "senor senora sig signor signora dhr mevr mevrouw meneer pani pana name names named "
                                 "surname lastname firstname vorname nachname familienname nom prenom nombre apellido "
                                 "cognome naam";

/* Of two letters, that stand before anybody's name. */
const char *const words_particles = "de la le da di do du el al af av zu am im of to te ap";

const char *const words_titles_behind = "mrs miss prof herr frau mme madame monsieur senora signora mevrouw";

const char *const words_months_english[12] = {
    "january jan", "february feb", "march mar",          "april apr",   "may",          "june jun",
    "july jul",    "august aug",   "september sep sept", "october oct", "november nov", "december dec",
};
/* German, French, Spanish, Italian, Dutch, Portuguese, Swedish, Danish and Norwegian, Polish; Roman. */
const char *const words_months[12] = {
    "januar janner jaenner janvier janv enero ene gennaio gen januari janeiro stycznia styczen sty i",
    "februar feber fevrier fevr fev febrero febbraio februari fevereiro lutego luty lut ii",
    "marz maerz mrz mars marzo maart mrt marco marts marca marzec iii",
    "avril avr abril abr aprile kwietnia kwiecien kwi iv",
    "mai mayo maggio mag mei maio maj maja v",
    "juni juno juin junio giugno giu junho czerwca czerwiec cze vi",
    "juli juillet juil julio luglio lug julho lipca lipiec lip vii",
    "aout agosto ago augustus augusti sierpnia sierpien sie viii",
    "septembre septiembre setiembre set settembre sett setembro wrzesnia wrzesien wrz ix",
    "oktober okt octobre octubre ottobre ott outubro out pazdziernika pazdziernik paz x",
    "novembre noviembre novembro listopada listopad lis xi",
    "dezember dez decembre diciembre dic dicembre dezembro grudnia grudzien gru xii",
};

const struct words_era words_eras[] = {
    { "明治 明", 'm', 1868, 1912 }, { "大正 大", 't', 1912, 1926 }, { "昭和 昭", 's', 1926, 1989 },
    { "平成 平", 'h', 1989, 2019 }, { "令和 令", 'r', 2019, 2100 }, { "民國 民国 中華民國 中华民国", '\0', 1912, 2100 },
};
const size_t words_n_eras = ARRAY_LEN(words_eras);
