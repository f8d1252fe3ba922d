use super::der::{
    BMP_STRING, Der, IA5_STRING, OBJECT_IDENTIFIER, PRINTABLE_STRING, SEQUENCE, SET,
    TELETEX_STRING, UTF8_STRING, Value,
};

/// A distinguished name as text (RFC 4514); `None` if it is none.
pub(super) fn text(mut name: Der<'_>) -> Option<String> {
    let mut parts = Vec::new();
    while let Some(set) = name.any() {
        parts.push(part(&set)?);
    }
    parts.reverse();
    Some(parts.join(","))
}

/// What stands between two commas: mostly one attribute, and several with a plus between them.
fn part(set: &Value<'_>) -> Option<String> {
    let mut attributes = (set.tag == SET).then(|| set.inside())?;
    let mut all = Vec::new();
    while let Some(attribute) = attributes.any() {
        let mut attribute = (attribute.tag == SEQUENCE).then(|| attribute.inside())?;
        let (kind, value) = (attribute.any()?, attribute.any()?);
        let kind = (kind.tag == OBJECT_IDENTIFIER).then(|| label(kind.bytes))??;
        all.push(format!("{kind}={}", escaped(&string(&value)?)));
    }
    Some(all.join("+"))
}

/// The short name of an attribute, or else its number.
fn label(oid: &[u8]) -> Option<String> {
    let known = KINDS.iter().find(|(known, _)| *known == oid);
    known.map_or_else(|| dotted(oid), |(_, label)| Some((*label).to_owned()))
}

fn dotted(oid: &[u8]) -> Option<String> {
    let mut arcs = Vec::new();
    let mut arc = 0_u64;
    for byte in oid {
        arc = arc.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        if byte & 0x80 != 0 {
            continue;
        }
        if arcs.is_empty() {
            let first = (arc / 40).min(2);
            arcs.push(first.to_string());
            arc -= 40 * first;
        }
        arcs.push(arc.to_string());
        arc = 0;
    }
    Some(arcs.join("."))
}

fn string(value: &Value<'_>) -> Option<String> {
    match value.tag {
        UTF8_STRING | PRINTABLE_STRING | IA5_STRING => String::from_utf8(value.bytes.to_vec()).ok(),
        // Meant for T.61 and used for Latin-1.
        TELETEX_STRING => Some(value.bytes.iter().copied().map(char::from).collect()),
        BMP_STRING => {
            let units: Vec<_> = value
                .bytes
                .chunks(2)
                .map(|pair| pair.iter().fold(0, |unit, byte| unit << 8 | u16::from(*byte)))
                .collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// RFC 4514 §2.4, so that no value can look like two.
fn escaped(value: &str) -> String {
    let mut text = String::new();
    let last = value.chars().count().saturating_sub(1);
    for (index, char) in value.chars().enumerate() {
        let at_an_end =
            (char == ' ' && (index == 0 || index == last)) || (char == '#' && index == 0);
        match char {
            '\0' => text.push_str("\\00"),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', char]),
            _ if at_an_end => text.extend(['\\', char]),
            _ => text.push(char),
        }
    }
    text
}

/// RFC 4514 §3, and what else is common.
const KINDS: [(&[u8], &str); 10] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_look_like_two() {
        for (value, expected) in [
            ("alice", "alice"),
            ("a,O=b", r"a\,O=b"),
            ("a+b", r"a\+b"),
            (r"a\", r"a\\"),
            (" a ", r"\ a\ "),
            (" ", r"\ "),
            ("#a#", r"\#a#"),
            ("a\0b", r"a\00b"),
            ("\"<;>", r#"\"\<\;\>"#),
        ] {
            assert_eq!(escaped(value), expected);
        }
    }

    #[test]
    fn an_attribute_without_a_name_has_its_number() {
        // emailAddress, 1.2.840.113549.1.9.1.
        let email = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];

        assert_eq!(label(&email).as_deref(), Some("1.2.840.113549.1.9.1"));
        assert_eq!(label(&[0x55, 4, 3]).as_deref(), Some("CN"));
    }

    #[test]
    fn a_name_in_other_characters_is_read() {
        let latin = Value { tag: TELETEX_STRING, bytes: b"J\xfcrgen" };
        let wide = Value { tag: BMP_STRING, bytes: &[0x00, 0x4a, 0x00, 0xfc] };

        assert_eq!(string(&latin).as_deref(), Some("Jürgen"));
        assert_eq!(string(&wide).as_deref(), Some("Jü"));
        assert_eq!(string(&Value { tag: 0x05, bytes: &[] }), None);
    }
}
