//! Mailbox names as the two sides write them, translated to one Unicode path with `/`; written apart from the program.

/// Decodes modified UTF-7 (RFC 3501 §5.1.3). Tests meet only what servers accepted, so bad input is a failure.
pub fn from_utf7(wire: &str) -> String {
    let mut out = String::new();
    let mut rest = wire;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let end = at + rest[at..].find('-').unwrap_or_else(|| panic!("`{wire}` is no modified UTF-7"));
        let code = &rest[at + 1..end];
        if code.is_empty() {
            out.push('&');
        } else {
            let mut bits = 0u32;
            let mut have = 0;
            let mut units = Vec::new();
            for b in code.bytes() {
                let value = BASE64.iter().position(|x| *x == b).unwrap_or_else(|| panic!("bad base64 in `{wire}`"));
                bits = bits << 6 | value as u32;
                have += 6;
                if have >= 16 {
                    have -= 16;
                    units.push((bits >> have) as u16);
                    bits &= (1 << have) - 1;
                }
            }
            out.push_str(&String::from_utf16(&units).unwrap());
        }
        rest = &rest[end + 1..];
    }
    out + rest
}

/// Encodes modified UTF-7.
pub fn to_utf7(name: &str) -> String {
    let mut out = String::new();
    let mut shifted: Vec<u16> = Vec::new();
    let flush = |shifted: &mut Vec<u16>, out: &mut String| {
        if shifted.is_empty() {
            return;
        }
        out.push('&');
        let bytes: Vec<u8> = shifted.drain(..).flat_map(u16::to_be_bytes).collect();
        for chunk in bytes.chunks(3) {
            let word = chunk.iter().fold(0u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
            for i in 0..=chunk.len() {
                out.push(char::from(BASE64[(word >> (18 - 6 * i)) as usize & 63]));
            }
        }
        out.push('-');
    };
    for c in name.chars() {
        if (' '..='~').contains(&c) {
            flush(&mut shifted, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            shifted.extend(c.encode_utf16(&mut [0; 2]).iter());
        }
    }
    flush(&mut shifted, &mut out);
    out
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Undoes the `%XX` escapes of a directory name.
pub fn from_directory(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn names_translate_both_ways() {
    for (name, wire) in [("Entwürfe", "Entw&APw-rfe"), ("a & b", "a &- b"), ("台北", "&U,BTFw-"), ("😀x", "&2D3eAA-x")]
    {
        assert_eq!(to_utf7(name), wire);
        assert_eq!(from_utf7(wire), name);
    }
    assert_eq!(from_directory("a%2Eb%c3%bc 5%"), "a.bü 5%");
}
