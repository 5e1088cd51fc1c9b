//! Modified UTF-7, in which IMAP4rev1 writes mailbox names (RFC 3501 §5.1.3).
//!
//! Servers also send raw UTF-8 and broken UTF-7; such names are kept as they stand, so that they can be sent back.

/// Encodes a name for the wire.
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut shifted: Vec<u8> = Vec::new();
    for c in name.chars() {
        if (' '..='~').contains(&c) {
            close(&mut out, &mut shifted);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                shifted.extend(unit.to_be_bytes());
            }
        }
    }
    close(&mut out, &mut shifted);
    out
}

/// Decodes a name from the wire; `None` when it is no modified UTF-7 that [`encode`] would write again.
pub fn decode(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let (code, after) = from.get(1..)?.split_once('-')?;
        if code.is_empty() {
            out.push('&')
        } else {
            out.push_str(&decode_base64(code)?)
        }
        rest = after;
    }
    out.push_str(rest);
    (encode(&out) == name).then_some(out)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

fn close(out: &mut String, shifted: &mut Vec<u8>) {
    if shifted.is_empty() {
        return;
    }
    out.push('&');
    for three in shifted.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for n in 0..=three.len() {
            let digit = (bits >> (18 - 6 * n)) & 63;
            out.extend(ALPHABET.get(digit as usize).map(|b| char::from(*b)));
        }
    }
    out.push('-');
    shifted.clear();
}

fn decode_base64(code: &str) -> Option<String> {
    let (mut bits, mut have) = (0u32, 0);
    let mut bytes = Vec::with_capacity(code.len());
    for b in code.bytes() {
        let digit = ALPHABET.iter().position(|a| *a == b)?;
        bits = bits << 6 | u32::try_from(digit).ok()?;
        have += 6;
        if have >= 8 {
            have -= 8;
            bytes.push((bits >> have & 0xff) as u8);
        }
    }
    let units = bytes.chunks(2).map(|two| <[u8; 2]>::try_from(two).map(u16::from_be_bytes));
    String::from_utf16(&units.collect::<Result<Vec<_>, _>>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc_and_of_servers() {
        for (plain, wire) in [
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("a&b", "a&-b"),
            ("😀", "&2D3eAA-"),
        ] {
            assert_eq!(encode(plain), wire);
            assert_eq!(decode(wire).as_deref(), Some(plain));
        }
    }

    #[test]
    fn what_is_not_canonical_is_not_decoded() {
        for bad in ["&", "&AP", "&!-", "Entwürfe", "&AGE-", "&2D0-", "&AGEAYg-", "&A-"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(name in "\\PC*") {
            prop_assert_eq!(decode(&encode(&name)), Some(name));
        }

        #[test]
        fn never_panics(wire in "[&A-Za-z0-9+,é-]*") {
            if let Some(name) = decode(&wire) {
                prop_assert_eq!(encode(&name), wire);
            }
        }
    }
}
