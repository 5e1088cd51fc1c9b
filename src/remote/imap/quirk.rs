//! What servers do that the standard does not foresee, one by one: a name, where it was seen, and what it looks like.
//!
//! A quirk that changes what is *done* is a function here; one that only has to be *understood* is bytes in the corpus
//! of the tests below, which goes through the same framing and parsers as live traffic.

/// **Throttled in words** (Gmail: "Account exceeded command or bandwidth limits", support.google.com/a/answer/2751577;
/// Yahoo: "[LIMIT]" or "rate limit"; Outlook: "Request is throttled. Suggested Backoff Time"): no code tells that waiting
/// helps, only the words.
pub fn is_throttled(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["bandwidth limit", "request is throttled", "rate limit", "too many simultaneous"].iter().any(|w| words.contains(w))
}

/// **Empty range refused** (Courier, some Exchange versions: `NO`/`BAD` to `UID FETCH 1:*` in an empty mailbox, where RFC
/// 3501 §6.4.8 wants an OK without data): not an error when the mailbox holds nothing.
pub fn is_empty_range(exists: u32) -> bool {
    exists == 0
}

/// **Already there, in words** (servers without RFC 5530, e.g. Courier "Mailbox already exists", UW "already exists"):
/// CREATE of what exists is a plain NO.
pub fn says_exists(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    words.contains("already exists") || words.contains("alreadyexists")
}

/// **Not there, in words** (servers without RFC 5530: Courier "does not exist", Dovecot 1.x "Mailbox doesn't exist",
/// GroupWise "no such mailbox"): STATUS and DELETE of what is gone is a plain NO.
pub fn says_gone(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["doesn't exist", "does not exist", "no such mailbox", "nonexistent", "unknown mailbox"]
        .iter()
        .any(|w| words.contains(w))
}
