//! Modified UTF-7, there and back. Entry point of the target in `tests/fuzz`, and of the mutation test.

use super::{MailboxName, utf7};

/// What is read is what would be written; what is written is read as what was meant.
pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(name) = utf7::decode(&text) {
        assert_eq!(utf7::encode(&name), text, "what is read is what would be written");
    }
    let written = utf7::encode(&text);
    assert!(written.bytes().all(|b| (b' '..=b'~').contains(&b)), "{written:?}");
    assert_eq!(utf7::decode(&written).as_deref(), Some(&*text), "there and back");
    if let Some(name) = MailboxName::parse(&text) {
        assert_eq!(MailboxName::parse(name.path()).as_ref(), Some(&name), "a path reads as what it was");
        assert_eq!(MailboxName::from_segments(name.segments()).as_ref(), Some(&name));
        let depth = name.segments().count();
        assert_eq!(std::iter::successors(Some(name), MailboxName::parent).count(), depth);
    }
}
