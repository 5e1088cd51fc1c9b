//! What a terminal would act on instead of showing it: no output of any run of any test has such a character.

/// Whether a terminal acts on it: a control character that is neither line end nor tab, or one that reorders a line.
fn is_acted_on(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Fails when what was said has such a character, or is no text.
#[track_caller]
pub fn assert_shown(output: &[u8]) {
    let text = std::str::from_utf8(output).unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(output)));
    let at = text.find(is_acted_on);
    assert!(at.is_none(), "a raw {:?} is in an output: {text:?}", at.and_then(|at| text[at..].chars().next()));
}

#[test]
fn what_a_terminal_acts_on_is_found_everywhere() {
    for said in ["\u{1b}[2J", "a\rb", "a\0", "a\u{7f}", "a\u{9b}31m", "a\u{202e}b", "\u{2066}", "bell\u{7}\n"] {
        assert!(std::panic::catch_unwind(|| assert_shown(said.as_bytes())).is_err(), "{said:?}");
    }
    assert!(std::panic::catch_unwind(|| assert_shown(b"\x9b31m")).is_err());
    assert_shown("Entwürfe\t会議\n{\"mailbox\":\"a\\u001b\"}\n".as_bytes());
}
