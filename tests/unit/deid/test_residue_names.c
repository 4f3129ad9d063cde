/* Names as they are written elsewhere, and words that only look like them; each with the needle before and behind the
 * text. */
#include "residue_rig.h"

#define NAME(needle, text, found)                           \
    {                                                       \
        IDENTITY_PATIENT, needle, text, RESIDUE_TEXT, found \
    }
#define PERSON(needle, text, found)                        \
    {                                                      \
        IDENTITY_PERSON, needle, text, RESIDUE_TEXT, found \
    }
#define IN(form, needle, text, found)                         \
    {                                                         \
        IDENTITY_PATIENT, needle, text, RESIDUE_##form, found \
    }
#define CHECK_ROWS(rows) residue_rig_check(rows, ARRAY_LEN(rows))

static void test_names__umlauts_are_found_in_either_spelling(void)
{
    static const struct residue_row rows[] = {
        NAME("Müller^Jörg", "Herr MUELLER", true),
        NAME("Müller^Jörg", "fuer Mueller, J.", true),
        NAME("Müller^Jörg", "muller", true),
        NAME("Müller^Jörg", "Joerg kam", true),
        NAME("Müller^Jörg", "JOERGMUELLER", true),
        NAME("Müller^Jörg", "Mu\314\210ller", true),
        NAME("Mueller^Joerg", "Müller", true),
        NAME("Mueller^Joerg", "M\374ller in Latin-1", true),
        NAME("Mueller^Joerg", "Mu\314\210ller", true),
        NAME("Mueller^Joerg", "Muller", true),
        NAME("Mueller^Joerg", "MÜLLER JÖRG", true),
        NAME("M\374ller^J\366rg", "Mueller", true),
        NAME("Loew^X", "Herr Löw", true),
        NAME("Loew^X", "low dose", false),
        NAME("Åberg^Bo", "Aaberg", true),
        NAME("Aaberg^Bo", "Åberg", true),
        NAME("Aaberg^Bo", "Aberg", true),
        NAME("Søren^Bo", "Soeren", true),
        NAME("Soerensen^Bo", "Sørensen", true),
        NAME("Groß-Gerau^Bo", "Gross", true),
        NAME("Weiß-Haupt^Bo", "WEISSHAUPT", true),
        NAME("Strauss^Bo", "Strauß", true),
        NAME("Haas^Ute", "patient has pain", false),
        NAME("Haas^Ute", "Haas", true),
        NAME("Maass^Ute", "a mass in the liver", false),
        NAME("Bauer^Uwe", "Baur", false), /* no umlaut behind a vowel */
        NAME("Quent^Uwe", "Qunt", false),
        NAME("Müller^Jörg", "Miller", false),
        NAME("Müller^Jörg", "Muellerchen", false),
        NAME("Λαμπρίδης^Ν", "ΛΑΜΠΡΙΔΗΣ", true),
        NAME("Артёмов^А", "АРТЕМОВ", true),
        PERSON("Schäfer^A", "Dr. Schaefer", true),
        PERSON("Schaefer^A", "Dr. Schäfer", true),
    };
    CHECK_ROWS(rows);
}

static void test_names__and_numbers_are_found_in_other_letters_and_digits(void)
{
    static const struct residue_row rows[] = {
        NAME("محمد^علي", "مُحَمَّد", true),    /* with the signs of vowels */
        NAME("محمد^علي", "محـــمد", true), /* stretched */
        NAME("أحمد^سامي", "احمد", true),
        NAME("کریمی^علی", "كريمي", true),
        NAME("فاطمة^علي", "فاطمه", true),
        NAME("דוד^כהן", "דָּוִד", true),
        NAME("葛城^ミサト", "葛\363\240\204\200城さん", true), /* a variant of the character */
        NAME("葛\363\240\204\200城^ミサト", "葛城さん", true),
        NAME("Smith^Ann", "by \342\200\252Smi\342\200\254th", true), /* marks of direction */
        NAME("Griffiths^Ann", "by Gri\357\254\203ths", true),        /* ligatures, as in what was copied from a PDF */
        NAME("Fielding^Ann", "\357\254\201elding", true),
        { IDENTITY_MRN, "12345678", "رقم ١٢٣٤٥٦٧٨", RESIDUE_TEXT, true },
        { IDENTITY_MRN, "12345678", "१२३४५६७८", RESIDUE_TEXT, true },
        { IDENTITY_MRN, "۱۲۳۴۵۶۷۸", "12345678", RESIDUE_TEXT, true },
        { IDENTITY_MRN, "12345678", "رقم ١٢٣٤٥٦٧٩", RESIDUE_TEXT, false },
        { IDENTITY_DATE, "19610704", "٤/٧/١٩٦١", RESIDUE_TEXT, true },
        { IDENTITY_DATE, "19610704", "๔/๗/๒๕๐๔", RESIDUE_TEXT, true },
    };
    CHECK_ROWS(rows);
}

static void test_names__without_gaps_are_found_in_the_midst(void)
{
    static const struct residue_row rows[] = {
        NAME("山田^太郎", "山田太郎様の検査", true),
        NAME("山田 太郎", "山田太郎様の検査", true),
        NAME("山田　太郎", "山田太郎様の検査", true),
        NAME("Yamada^Tarou=山田^太郎=やまだ^たろう", "検査は山田さん", true),
        NAME("山田^太郎", "患者山田の頭部CT検査", true),
        NAME("山田^太郎", "太郎様の検査", true),
        NAME("山田^太郎", "太郎さん", true),
        NAME("山田^太郎", "検査太郎丸", false), /* a given name of two, within a word */
        NAME("山田^太郎", "山下太一様の検査", false),
        NAME("山田^太郎", "山の田中", false),
        NAME("森^鴎外", "本日森鴎外氏来院", true),
        NAME("森^鴎外", "森の中", false),
        NAME("やまだ^たろう", "きょうのやまだたろうさん", true),
        NAME("ﾔﾏﾀﾞ^ﾀﾛｳ", "やまだ", true),
        NAME("ﾔﾏﾀﾞ^ﾀﾛｳ", "ヤマダタロウサマ", true),
        NAME("ヤマダ^タロウ", "ﾔﾏﾀﾞ ﾀﾛｳ", true),
        NAME("もり^ひろ", "つもりです", false),
        NAME("Yamada^Tarou", "Yamada様の検査", true),
        NAME("Yamada^Tarou", "検査Yamada", true),
        NAME("王^小東", "患者王小東的检查", true),
        NAME("王^小東", "王小東女士", true),
        NAME("王^小東", "國王在小的東", false),
        NAME("欧阳^娜娜", "今天欧阳女士", true),
        NAME("李^明", "今天李明来", true),
        NAME("高^峰", "强化高峰期", false),     /* "peak" */
        NAME("上野^健", "右上野に結節", false), /* "upper field" */
        NAME("上野^健", "上野様", false),
        IN(NAME, "上野^健", "上野", true),
        NAME("Hong^Gildong=洪^吉洞=홍^길동", "홍길동님의 검사", true),
        NAME("홍^길동", "환자홍길동의", true),
        NAME("홍^길동", "길동님의 검사", true),
        NAME("홍^길동", "길동", true),
        NAME("홍^길동", "신길동역", false),
        NAME("남궁^민수", "오늘남궁민수가", true),
        NAME("남궁^민수", "오늘남궁이", true),
        NAME("황보^민", "환자황보님은", true),
        NAME("남궁^민수", "강남 궁궐", false),
        NAME("이^상", "이상소견", false),
        NAME("이상", "이상소견", false), /* not told where the family name ends: "abnormal finding" */
        PERSON("山田^花子", "担当は山田医師", true),
    };
    CHECK_ROWS(rows);
}

static void test_names__that_are_words_count_where_they_name(void)
{
    static const struct residue_row rows[] = {
        NAME("Young^Katrina", "young adult", false),
        NAME("Young^Katrina", "Katrina", true),
        NAME("Young^Katrina", "for Mr Young", true),
        NAME("Young^Katrina", "Ms. YOUNG, follow-up", true),
        NAME("Young^Katrina", "Frau Young", true),
        NAME("Young^Katrina", "YOUNG", true),
        NAME("Young^Katrina", "head\\young", true),
        NAME("Young^Katrina", "K. Young today", true),
        NAME("Young^Katrina", "Young, K.", true),
        NAME("Young^Arthur", "a young man", false),
        NAME("Young^May", "May protocol", false),
        NAME("Young^May", "young adult", false),
        NAME("Young^May", "May Young", true),
        NAME("Young^May", "Young, Mrs. May", true),
        NAME("Young^May", "patient May, called Young", true),
        NAME("Young^May", "young adult\\May protocol", false), /* two values */
        NAME("Young^May", "MayYoung", true),
        NAME("Park^Li", "park li", true),
        NAME("Park^Li", "Li Park", true),
        NAME("Park^Li", "car park", false),
        NAME("Cross^Tom", "cross table lateral", false),
        NAME("Cross^Tom", "Dr Cross", true),
        NAME("White^Walter", "white matter", false),
        NAME("Long^Grey^Field", "long field of view", true), /* two of three */
        NAME("Long^Bo", "long axis", false),
        NAME("Black^Bo", "black blood", false),
        NAME("Brown^Bo", "brown fat", false),
        NAME("Hand^Kim", "left hand", false),
        NAME("Hand^Kim", "HAND", false), /* what was imaged */
        NAME("Hand^Kim", "Mrs Hand", true),
        NAME("Hand^Kim", "hand, kim", true),
        NAME("Cor^Piet", "t2_tse_cor", false),
        NAME("von der Heide^Klaus", "Bild der Hand", false),
        NAME("von der Heide^Klaus", "Heide", true),
        NAME("Test^Unknown", "test unknown", false),
        PERSON("Young^A", "young adult", false),
        PERSON("Young^A", "Dr. Young", true),
        PERSON("Young^A", "Young", true),
        NAME("Smith^Ann", "Smith fracture", true), /* a name first */
        NAME("Baker^Ann", "Baker cyst", true),
        IN(NAME, "Young^Katrina", "Young^X", true),
        IN(NAME, "Hand^Kim", "X^Hand", true),
        IN(NAME, "Test^Unknown", "Test^X", false),
        IN(NAME, "Miller^Kim", "X^Miller", true),
        IN(BINARY, "Young^May", "\1\2\3\4young adult\5\1", false),
        IN(BINARY, "Young^May", "\1\2\3\4seen for Mr Young today\5\1", true),
    };
    CHECK_ROWS(rows);
}

static void test_names__in_codes_are_the_patients_alone(void)
{
    static const struct residue_row rows[] = {
        IN(CODE, "Smithson^Ann", "SMITHSON", true),
        IN(CODE, "Smithson^Ann", "ORIGINAL\\SMITHSON", true),
        IN(CODE, "Smithson^Abel", "ABEL", true),
        IN(CODE, "Smithson^Abel", "SMITHSON ABEL", true),
        IN(CODE, "Smithson^Abel", "ABEL_SMITHSON", true),
        IN(CODE, "Smithson^Ann", "ANN", false), /* short ones are codes by nature */
        IN(CODE, "Smithson^Ann", "SMITHSON_2", true),
        IN(CODE, "Doeberg^Jane", "KNEE DOEBERG J", true),
        IN(CODE, "Doeberg^Jane", "DOEBERG JANE LT", true),
        IN(CODE, "Doeberg^Jane", "LT JANE KNEE", true),
        IN(CODE, "Doeberg^Jane", "ORIGINAL\\PRIMARY\\MRS DOEBERG", true),
        IN(CODE, "Doeberg^Jane", "KNEE DOEBERGER", false),
        IN(CODE, "O'Brien^Ann", "KNEE O_BRIEN", true),
        IN(CODE, "De Souza^Ann", "KNEE DESOUZA", true),
        IN(CODE, "Doe^Ann", "KNEE DOE ANN", true),
        IN(CODE, "Doe^Ann", "ANN_DOE_KNEE", true),
        IN(CODE, "Doe^Ann", "KNEE MR DOE", true),
        IN(CODE, "Doe^Ann", "KNEE DOE", false), /* short */
        IN(CODE, "Young^Ann", "KNEE MR YOUNG", true),
        IN(CODE, "Young^Ann", "YOUNG ANN", true),
        IN(CODE, "Young^Ann", "KNEE YOUNG ADULT", false),
        IN(CODE, "Head^Ann", "HEAD FIRST", false),
        IN(CODE, "Lumbar^Ann", "LUMBAR SPINE", false),
        IN(CODE, "Planar^Ann", "ECHO PLANAR\\ECHO", false),
        { IDENTITY_PERSON, "Smithson^Abel", "KNEE SMITHSON ABEL", RESIDUE_CODE, false },
        IN(CODE, "Axial^Ann", "AXIAL", false),
        IN(CODE, "Primary^Ann", "ORIGINAL\\PRIMARY\\AXIAL", false),
        IN(CODE, "Head^Ann", "HEAD", false),
        IN(CODE, "White^Ann", "WHITE", false),
        IN(CODE, "Norm^Ann", "NORM", false),
        IN(CODE, "Towne^Ann", "TOWNE", false),
        IN(CODE, "Dixon^Ann", "DIXON", false),
        IN(TEXT, "Towne^Ann", "towne view", true),
        { IDENTITY_PERSON, "Smithson^A", "SMITHSON", RESIDUE_CODE, false },
    };
    CHECK_ROWS(rows);
}

static void test_names__inside_words_and_letters_apart(void)
{
    static const struct residue_row rows[] = {
        NAME("Mueller^Anna", "MuellerAnnaCT", true),
        NAME("Mueller^Anna", "AnnaMuellerKnee", true),
        NAME("Mueller^Anna", "CTMueller", true),
        NAME("Mueller^Anna", "FrauMueller", true),
        NAME("Müller^Anna", "CTMüller", true),
        NAME("Müller^Anna", "MüllerCT", true),
        NAME("Müller^Anna", "MUELLERCT", true),
        NAME("Mueller^Anna", "muellerct 5mm", true),
        NAME("Mueller^Anna", "muellerannamrt", true),
        NAME("Артёмов^А", "снимокАртемовКТ", true),
        NAME("Łukžorv^A", "CTŁukžorv", true),
        NAME("Žorvłuk^A", "CTŽorvłuk", true),
        NAME("Țelmđrav^A", "CTȚelmđrav", true),
        NAME("Mueller^Anna", "muellersche", false),
        NAME("Donald^X", "McDonald criteria", false),
        NAME("Donald^X", "MacDonald", false),
        NAME("Donald^X", "KneeDonald", true),
        NAME("Anna^X", "LouiseAnnaMaria", false), /* of four letters: too short */
        NAME("Young^May", "VeryYoungPatient", false),
        NAME("Mueller^Anna", "M u e l l e r", true),
        NAME("Mueller^Anna", "for M U E L L E R, left knee", true),
        NAME("Mueller^Anna", "M u e l l e r  A n n a", true),
        NAME("Mueller^Anna", "M u e l l e r A n n a", true),
        NAME("Müller^Anna", "M ü l l e r", true),
        NAME("Müller^Anna", "M u e l l e r", true),
        NAME("Mueller^Anna", "axis x\\M u e l l e r", true),
        NAME("Mueller^Anna", "M u e l l e", false),
        NAME("Mueller^Anna", "M u e\\l l e r", false),
        NAME("Mueller^Anna", "M u e  l l e r", false),
        NAME("Mueller^Anna", "M u e l l e r s", false),
        NAME("Anna^X", "A n n a", false),
        PERSON("Weaver^Roy", "CTWeaver", true),
        IN(NAME, "Mueller^Anna", "CTMueller^X", true),
        IN(BINARY, "Mueller^Anna", "CTMuellerX\n", true),
        IN(BINARY, "Mueller^Anna", "\1\2CTMuellerX\3", false),  /* makers write so */
        NAME("Featherstone^Ann", "by Feather-\r\nstone", true), /* at the end of a line */
        NAME("Featherstone^Ann", "by Feather-\nstone, A.", true),
        NAME("Featherstone^Ann", "by Feather\nstone", false),
    };
    CHECK_ROWS(rows);
}

static void test_names__of_several_words_are_written_as_one(void)
{
    static const struct residue_row rows[] = {
        NAME("De Souza^Ana", "Desouza knee", true),
        NAME("De Souza Ana", "DeSouza", true),
        NAME("Van den Berg^X", "Vandenberg knee", true),
        NAME("Mac Donald^X", "MacDonald knee", true),
        NAME("Al Mansour^X", "Almansour", true),
        NAME("O Brien^X", "OBrien", true),
        NAME("Doe^Mary Jane", "maryjane knee", true),
        PERSON("Van den Berg^X", "Vandenberg", true),
        NAME("An Na^X", "anna", false),         /* too short */
        NAME("Doe^Li Ver", "the liver", false), /* a word */
        NAME("De Souza^Ana", "Souzade", false),
        NAME("Van den Berg^X", "Vandenberghe", false),
    };
    CHECK_ROWS(rows);
}

static void test_names__that_are_words_count_beside_titles_and_initials(void)
{
    static const struct residue_row rows[] = {
        NAME("Young^Adam", "YOUNG,A knee", true),
        NAME("Young^Adam", "YOUNG A", true),
        NAME("Young^Adam", "Mr A. Young knee", true),
        NAME("Young^Adam", "Mr A Young", true),
        NAME("Young^Adam", "a young man", false),
        NAME("Young^Adam", "Young, I.", false), /* another's */
        NAME("Young^Ian", "Young, I. knee", true),
        NAME("Young^Ian", "Dr. I. Young", true),
        NAME("Young^Ian", "when I young", false),
        NAME("Green^Amy", "for MrsGreen today", true),
        NAME("Green^Amy", "mrsgreen", true),
        NAME("Green^Amy", "MrsGreenfield", false),
        NAME("Green^Amy", "Green (Mrs)", true),
        NAME("Green^Amy", "Dr. med. Green", true),
        NAME("Green^Amy", "med green light", false),
        NAME("Green^Amy", "Green's knee", true),
        NAME("Green^Amy", "greens and green tea", false),
        NAME("Hand^Kim", "hand MR", false), /* how it was imaged */
        NAME("Hand^Kim", "the hand's bones", false),
        PERSON("Green^Bo", "Mrs Green", true),
        PERSON("Green^Bo", "Green's knee", false),
        NAME("Page^Jim", "Mr Page knee", true),
        NAME("Page^Jim", "page 3", false),
        NAME("Page^Jim", "PAGE", false),
        NAME("Male^Joe", "Prof Male", true),
        NAME("Male^Joe", "adult male", false),
        NAME("Test^Joe", "MR test", false),
        PERSON("Page^Jim", "Mr Page", false),
        NAME("Li^Wu", "Mr Li knee", true),
        NAME("Ng^An", "seen by Dr Ng", true),
        NAME("Li^Wu", "the li ion", false),
        NAME("Li^Wu", "Mr Lin", false),
        NAME("de Souza^Ana", "Mr de Boer", false), /* a particle */
        NAME("von Berg^Ana", "Herr von Boer", false),
        PERSON("Li^Wu", "Mr Li knee", false),
    };
    CHECK_ROWS(rows);
}

static void test_names__in_addresses_and_mail(void)
{
    static const struct residue_row rows[] = {
        NAME("Müller^Anna", "http://example.org/?q=M%C3%BCller&x=1", true),
        NAME("Müller^Anna", "see /M%FCller", true),
        NAME("Müller^Anna", "M%c3%bcller", true),
        NAME("Mueller^Anna", "/M%C3%BCller", true),
        NAME("Müller^Anna", "=?utf-8?Q?M=C3=BCller?=", true),
        NAME("Müller^Anna", "f=FCr M=FCller", true),
        NAME("Mueller^Anna", "%4Duel%6Cer", true),
        NAME("Anna^X", "for%20Anna", true),
        NAME("Anna^X", "for=20Anna=20today", true),
        NAME("Anna^X", "for%2Anna", false),
        NAME("Müller^Anna", "M%C3%B6ller", false),
        NAME("Müller^Anna", "M%ZZller", false),
        NAME("Te^X", "TE=20", false), /* no value by itself */
        NAME("Young^May", "a%20young%20adult in May", false),
        { IDENTITY_MRN, "678901", "id=45678901", RESIDUE_TEXT, false },
        { IDENTITY_MRN, "45678901", "id=45678901", RESIDUE_TEXT, true },
        { IDENTITY_MRN, "4711-0815", "?id=4711%2D0815", RESIDUE_TEXT, true },
    };
    CHECK_ROWS(rows);
    char text[2000];
    for (size_t at = 0; at < sizeof text - 24; at += 7) { /* wherever in a long one */
        memset(text, '-', sizeof text);
        memcpy(text, "%20", 3);
        memcpy(text + 3 + at, "M%C3%BCller", 11);
        text[3 + at + 11 + 2] = '\0';
        const struct residue_row row = NAME("Müller^Anna", text, true);
        residue_rig_check(&row, 1);
    }
}

/* Noise, decoded: what stands beside the word tells whether somebody wrote it. */
static void test_names__in_decoded_bytes_count_where_they_are_written(void)
{
    static const struct residue_row rows[] = {
        IN(DECODED, "Διονκραλ^Μεθυ", "\1Διονκραλ\3", true),
        IN(DECODED, "Διονκραλ^Μεθυ", "\1Διονκραλ και Μ.\3", true),
        IN(DECODED, "Διονκραλ^Μεθυ", "\1°§Διονκραλ\3", false),       /* signs among letters */
        IN(DECODED, "Διονκραλ^Μεθυ", "\1\302\205Διονκραλ\3", false), /* a control character */
        IN(DECODED, "Διονκραλ^Μεθυ", "°§Διονκραλ", true),            /* a field */
        IN(DECODED, "Διονκραλ^Μεθυ", "°§¶Διο°§¶", false),
        IN(DECODED, "Διο^Μεθυ", "Διο", true),
        IN(DECODED, "Διο^Μεθυ", "\1Διο\3", false), /* too short to be none by chance */
        IN(DECODED, "Jäger^Bo", "\1JÄGER\3", true),
        IN(DECODED, "Jäger^Bo", "\1Jäger, ÀÈÒÙÂÊÎ\3", false),
        IN(DECODED, "Jäger^Bo", "\1Jager\3", false), /* no more than its bytes: searched as such */
        IN(DECODED, "山崎^太郎", "患者山崎様", true),
        IN(DECODED, "山崎^太郎", "\1患者山崎様\3", false), /* any two bytes are an ideograph */
    };
    CHECK_ROWS(rows);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_names__umlauts_are_found_in_either_spelling),
        TEST(test_names__and_numbers_are_found_in_other_letters_and_digits),
        TEST(test_names__without_gaps_are_found_in_the_midst),
        TEST(test_names__that_are_words_count_where_they_name),
        TEST(test_names__in_codes_are_the_patients_alone),
        TEST(test_names__in_decoded_bytes_count_where_they_are_written),
        TEST(test_names__inside_words_and_letters_apart),
        TEST(test_names__in_addresses_and_mail),
        TEST(test_names__of_several_words_are_written_as_one),
        TEST(test_names__that_are_words_count_beside_titles_and_initials),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
