#!/usr/bin/env python3
"""Writes src/base/slug_table.inc, the transliteration table of slug_make().

Run by hand when a letter is added:  tools/gen-slug.py > src/base/slug_table.inc
Needs nothing but Python's own unicodedata and html.entities.  Letters with a compatibility decomposition (NFKD) take
care of themselves; those without one stand below, in the Latin letters that python-slugify 8.0.4 gives them, so that
names made by the system before pixl come out the same.
"""
import html.entities
import sys
import unicodedata

# Where entries may come from; letters elsewhere are refused by slug.c.
BLOCKS = [(0x00A0, 0x024F), (0x02B0, 0x02FF), (0x0363, 0x036F), (0x0370, 0x03FF), (0x0400, 0x04FF), (0x1E00, 0x1EFF), (0x1F00, 0x1FFF),
          (0x2000, 0x206F), (0x2070, 0x209F), (0x20A0, 0x20CF), (0x2100, 0x214F), (0x2150, 0x218F), (0x2190, 0x25FF),
          (0x3000, 0x3000), (0xFB00, 0xFB06), (0xFF01, 0xFF5E)]

BASE = {}                                # code point -> ASCII, for what NFKD leaves as it is


def run(first, text):
    """One word for each code point from first on; '.' leaves one out, '_' is a blank, '0' nothing at all."""
    for i, word in enumerate(text.split()):
        if word != ".":
            BASE[first + i] = {"_": " ", "0": ""}.get(word, word)


def pairs(text):
    """A letter and what it becomes, one after the other."""
    words = text.split()
    for letter, word in zip(words[::2], words[1::2]):
        BASE[ord(letter)] = word


# Latin-1, Latin Extended-A and -B
run(0x00A1, "! C/ PS $? Y= | SS . (c) . << ! 0 (r)")
run(0x00B0, "deg +- . . . . P *")
pairs("» >> ¿ ?")
pairs("Æ AE Ð D × x Ø O Þ Th ß ss æ ae ð d ÷ / ø o þ th Đ D đ d Ħ H ħ h ı i ĸ k Ł L ł l Ŋ ng ŋ NG Œ OE œ oe Ŧ T ŧ t")
pairs("ƀ b Ɓ B Ƃ B ƃ b Ƅ 6 ƅ 6 Ɔ O Ƈ C ƈ c Ɖ D Ɗ D Ƌ D ƌ d ƍ d Ǝ 3 Ə @ Ɛ E Ƒ F ƒ f Ɠ G Ɣ G ƕ hv Ɩ I Ɨ I Ƙ K ƙ k ƚ l ƛ l")
pairs("Ɯ W Ɲ N ƞ n Ɵ O Ƣ OI ƣ oi Ƥ P ƥ p Ʀ YR Ƨ 2 ƨ 2 Ʃ SH ƪ sh ƫ t Ƭ T ƭ t Ʈ T Ʊ Y Ʋ V Ƴ Y ƴ y Ƶ Z ƶ z Ʒ ZH Ƹ ZH ƹ zh ƺ zh")
pairs("ƻ 2 Ƽ 5 ƽ 5 ƾ ts ƿ w ǀ | ǁ || ǂ |= ǃ ! ǝ @ Ǥ G ǥ g Ƕ HV Ƿ W Ȝ Y ȝ y Ƞ N ȡ d Ȣ OU ȣ ou Ȥ Z ȥ z ȴ l ȵ n ȶ t ȷ j ȸ db")
pairs("ȹ qp Ⱥ A Ȼ C ȼ c Ƚ L Ⱦ T ȿ s ɀ z Ƀ B Ʉ U Ʌ ^ Ɇ E ɇ e Ɉ J ɉ j Ɋ q ɋ q Ɍ R ɍ r Ɏ Y ɏ y")
# Modifier letters that serve as apostrophes and accents
pairs("ʹ ' ʻ ` ʼ ' ʽ ` ʾ ` ʿ ' ˀ ? ˁ ? ˂ < ˃ > ˄ ^ ˆ ^ ˈ ' ˉ - ˋ \\ ˌ , ˍ _ ː :")
BASE[0x02BA] = '"'
BASE[0x02CA] = "/"
pairs("˅ V ˕ V ˞ R ˟ X")
run(0x0363, "a e i o u c d h m r t v x")        # letters above letters
pairs("↷ V ↺ V ╳ X ▼ V ▽ V ▾ V ▿ V ◯ O")
# Greek
pairs("Α A Β B Γ G Δ D Ε E Ζ Z Η E Θ Th Ι I Κ K Λ L Μ M Ν N Ξ Ks Ο O Π P Ρ R Σ S Τ T Υ U Φ Ph Χ Kh Ψ Ps Ω O")
pairs("α a β b γ g δ d ε e ζ z η e θ th ι i κ k λ l μ m ν n ξ x ο o π p ρ r ς s σ s τ t υ u φ ph χ kh ψ ps ω o")
pairs("ϗ & Ϛ St ϛ st Ϝ W ϝ w Ϟ Q ϟ q Ϡ Sp ϡ sp ϳ j")
# Cyrillic
pairs("Ђ Dj Є E Ѕ Dz І I Ј J Љ Lj Њ Nj Ћ Tsh Џ Dzh А A Б B В V Г G Д D Е E Ж Zh З Z И I К K Л L М M Н N О O П P Р R С S")
pairs("Т T У U Ф F Х Kh Ц Ts Ч Ch Ш Sh Щ Shch Ы Y Ь ' Э E Ю Iu Я Ia")
pairs("а a б b в v г g д d е e ж zh з z и i к k л l м m н n о o п p р r с s т t у u ф f х kh ц ts ч ch ш sh щ shch ы y ь '")
pairs("э e ю iu я ia ђ dj є ie ѕ dz і i ј j љ lj њ nj ћ tsh џ dzh Ѡ O ѡ o Ѣ E ѣ e Ѥ Ie ѥ ie Ѧ E ѧ e Ѩ Ie ѩ ie Ѫ O ѫ o")
pairs("Ѭ Io ѭ io Ѯ Ks ѯ ks Ѱ Ps ѱ ps Ѳ F ѳ f Ѵ Y ѵ y Ѹ u ѹ u Ѻ O ѻ o Ѽ O ѽ o Ѿ Ot ѿ ot Ҁ Q ҁ q Ҍ \" ҍ \" Ҏ R' ҏ r'")
pairs("Ґ G' ґ g' Ғ G' ғ g' Ҕ G' ҕ g' Җ Zh' җ zh' Ҙ Z' ҙ z' Қ K' қ k' Ҝ K' ҝ k' Ҟ K' ҟ k' Ҡ K' ҡ k' Ң N' ң n' Ҥ Ng ҥ ng")
pairs("Ҧ P' ҧ p' Ҩ Kh ҩ kh Ҫ S' ҫ s' Ҭ T' ҭ t' Ү U ү u Ұ U' ұ u' Ҳ Kh' ҳ kh' Ҵ Tts ҵ tts Ҷ Ch' ҷ ch' Ҹ Ch' ҹ ch' Һ H һ h")
pairs("Ҽ Ch ҽ ch Ҿ Ch' ҿ ch' Ӏ ` Ӄ K' ӄ k' Ӈ N' ӈ n' Ӌ Ch ӌ ch Ӕ Ae ӕ ae Ә @ ә @ Ӡ Dz ӡ dz Ө O ө o")
BASE[0x042A] = BASE[0x044A] = ""         # the hard sign has no sound
# General punctuation
run(0x2010, "- - - - -- -- || _ ' ' , ' \" \" ,, \" + ++ * *> . .. ... .")
run(0x2030, "%0 %00 ' '' ''' ` `` ``` ^ < > * . !? . _ - ^ *** -- / -[ ]-")
run(0x204A, "7 PP")
# Currency and letterlike signs
run(0x20A0, "ECU CL Cr FF L mil N Pts Rs W NS D EUR K T Dr")

for sign in "℄℈℔℗℘℞℟℣℥℧℩℮℺":
    BASE[ord(sign)] = ""


def transliterate(c):
    """What a character becomes, or None when some part of it is not known."""
    out = ""
    for part in unicodedata.normalize("NFKD", c):
        p = ord(part)
        if p < 0x80:
            out += part
        elif p in BASE:
            out += BASE[p]
        elif not 0x0300 <= p <= 0x036F:
            return None
    return out


def ascii_of_nfkd(c):
    """What is left of a character that came as an entity: it is decomposed but not transliterated any more."""
    return "".join(p if ord(p) < 0x80 else "-" for p in unicodedata.normalize("NFKD", c))


def shape(text):
    """Two texts of one shape make the same slug."""
    return "".join(ch.lower() if ch.isalnum() else "-" for ch in text)


def c_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?") + '"'


def write(words, end):
    line = "   "
    for word in words:
        if len(line) + len(word) + 1 > 118:
            print(line)
            line = "   "
        line += " " + word
    print(line)
    print(end)


def letters():
    for first, last in BLOCKS:
        for p in range(first, last + 1):
            text = transliterate(chr(p))
            if text is None:
                continue
            entity = shape(ascii_of_nfkd(chr(p)))
            kind = "SAME" if entity == shape(text) else "MARK" if entity.rstrip("-") == shape(text) else "GONE"
            if kind == "GONE" and entity.strip("-"):
                kind = "SAME"            # signs like the one for degrees Celsius: half a word would help nobody
            if len(text) > 5:
                sys.exit(f"U+{p:04X}: {text!r} is too long for the table")
            yield f"{{0x{p:04X},{kind},{c_string(text)}}},"


def entities():
    for name, p in sorted(html.entities.name2codepoint.items()):
        text = chr(p) if p < 0x80 else ascii_of_nfkd(chr(p))
        yield f"{{\"{name}\",{c_string(text)}}},"


def main():
    print(f"/* Written by tools/gen-slug.py from Unicode {unicodedata.unidata_version}; change that, not this. */")
    print("static const struct letter letters[] = {")
    write(letters(), "};")
    print("/* HTML's named characters, each with what NFKD leaves of it in ASCII; sorted. */")
    print("static const struct entity entities[] = {")
    write(entities(), "};")


main()
