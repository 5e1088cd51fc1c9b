//! The configuration as text: TOML, each note a comment at its key.
//!
//! Whatever an old configuration holds, the result is one that Mailtide's own parser takes: an account that the parser
//! refuses is written as comments, with the parser's words above it.

use super::draft::{Draft, Key, Note, Table, Value, Weight};
use crate::error::safe_text;

/// The widest comment.
const WIDTH: usize = 100;
/// More than any comment line needs; foreign text has no end.
const MOST: usize = 1000;

/// What stands at the top.
pub struct Heading<'a> {
    /// The tool's name.
    pub tool: &'a str,
    /// The files it was read from.
    pub files: &'a [String],
    /// What is to be said about the whole.
    pub notes: &'a [Note],
}

/// Writes the whole configuration; `refused` says why the parser does not take an account.
pub fn whole(heading: &Heading<'_>, accounts: &[(Draft, Option<String>)]) -> String {
    let mut out = String::new();
    let from = heading.files.join(", ");
    comment(&mut out, &format!("Made by `mailtide import --from {}` from {from}, which stays as it is.", heading.tool));
    comment(
        &mut out,
        "Next: `mailtide check`, then `mailtide sync --dry-run`, which shows what would be done and does nothing. \
         mailtide.toml(5) names every key.",
    );
    for note in heading.notes {
        out.push_str("#\n");
        comment(&mut out, &note.text);
    }
    for (draft, refused) in accounts {
        out.push('\n');
        match refused {
            None => out.push_str(&account(draft)),
            Some(why) => {
                comment(&mut out, &format!("The account `{}` could not be taken over: {why}", draft.name));
                for line in account(draft).lines() {
                    out.push_str(if line.starts_with('#') || line.is_empty() { "" } else { "# " });
                    out.push_str(line);
                    out.push('\n');
                }
            }
        }
    }
    out
}

/// Writes one account.
pub fn account(draft: &Draft) -> String {
    let mut out = String::new();
    comment(&mut out, &draft.from);
    for note in draft.notes().iter().filter(|note| note.at.is_none()) {
        comment(&mut out, &note.text);
    }
    let name = key(&draft.name);
    out.push_str(&format!("[accounts.{name}]\n"));
    table(&mut out, draft, Table::Account);
    out.push_str(&format!("\n[accounts.{name}.{}]\n", draft.protocol.word()));
    table(&mut out, draft, Table::Server);
    out
}

fn table(out: &mut String, draft: &Draft, table: Table) {
    for at in Key::ALL.into_iter().filter(|at| at.name().1 == table) {
        for note in draft.notes().iter().filter(|note| note.at == Some(at)) {
            comment(out, &note.text);
        }
        if let Some(value) = draft.get(at) {
            out.push_str(&format!("{} = {}\n", at.name().0, shown(value)));
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Number(n) => n.to_string(),
        Value::Truth(yes) => yes.to_string(),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| quoted(item)).collect();
            let short = format!("[{}]", items.join(", "));
            if short.len() <= WIDTH { short } else { format!("[\n    {},\n]", items.join(",\n    ")) }
        }
        // TOML 1.0 has no inline table of several lines.
        Value::Pairs(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{} = {}", quoted(k), quoted(v))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Source(kind, text) => format!("{{ {kind} = {} }}", quoted(text)),
    }
}

/// A key, bare where TOML allows it.
fn key(text: &str) -> String {
    let bare = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if bare { text.to_owned() } else { quoted(text) }
}

/// A basic string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if crate::error::is_hidden(c) => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Comment lines of a text; foreign parts of it are made safe.
fn comment(out: &mut String, text: &str) {
    for line in text.lines() {
        let safe = safe_text(line, MOST);
        // Commands are copied as they are.
        let parts = if line.starts_with("    ") { vec![safe.as_str()] } else { wrapped(&safe) };
        for part in parts {
            out.push_str("# ");
            out.push_str(part);
            out.push('\n');
        }
    }
}

/// Breaks at spaces; what has none stays whole.
fn wrapped(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = line.trim_end();
    loop {
        let end = rest.char_indices().nth(WIDTH).map(|(at, _)| at);
        let cut = end.and_then(|end| {
            let before = rest.get(..end)?.rfind(' ').filter(|at| *at > 0);
            before.or_else(|| rest.get(end..)?.find(' ').map(|more| end + more))
        });
        let Some((part, after)) = cut.and_then(|at| rest.split_at_checked(at)) else {
            parts.push(rest);
            return parts;
        };
        parts.push(part);
        rest = after.trim_start();
    }
}

/// The notes of a weight, each as one line for a terminal, with what it is about in front.
pub fn told(notes: &[Note], about: &str, weight: Weight) -> Vec<String> {
    let line = |note: &Note| format!("{about}: {}", note.text.lines().next().unwrap_or_default());
    notes.iter().filter(|note| note.weight == weight).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::draft::Protocol;
    use super::*;

    #[test]
    fn every_value_comes_back_from_toml() {
        let odd = "a \"b\" \\ 'c' é \u{1b}[1m \u{202e}\t#";
        let mut draft = Draft::new(odd, Protocol::Imap, "from\u{1b}\nhere");
        draft.set(Key::Maildir, odd);
        draft.set(Key::Mailboxes, Value::List(vec![odd.into(); 9]));
        draft.set(Key::Rename, Value::Pairs(vec![(odd.into(), odd.into()), (String::new(), "x".into())]));
        draft.set(Key::Port, Value::Number(993));
        draft.set(Key::Compress, Value::Truth(true));
        draft.note(Key::Port, Weight::Differs, "one\ntwo ] = \u{7}");
        let text = account(&draft);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'));
        let read: toml::Table = text.parse().unwrap();
        let account = &read["accounts"][&draft.name];
        assert_eq!(account["maildir"].as_str(), Some(odd));
        assert_eq!(account["mailboxes"][8].as_str(), Some(odd));
        assert_eq!(account["rename"][odd].as_str(), Some(odd));
        assert_eq!(
            (account["imap"]["port"].as_integer(), account["imap"]["compress"].as_bool()),
            (Some(993), Some(true))
        );
    }

    #[test]
    fn a_refused_account_is_all_comments() {
        let mut draft = Draft::new("a", Protocol::Imap, "x");
        draft.set(Key::Mailboxes, Value::List(vec!["x".repeat(60); 3]));
        let heading = Heading { tool: "mbsync", files: &["/f".into()], notes: &[] };
        let text = whole(&heading, &[(draft, Some("no host".into()))]);
        assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')), "{text}");
        assert!(text.contains("could not be taken over: no host"));
    }

    #[test]
    fn comments_break_at_spaces() {
        assert_eq!(wrapped(""), [""]);
        let long = format!("{} {}", "x".repeat(150), "y".repeat(20));
        assert_eq!(wrapped(&long), ["x".repeat(150), "y".repeat(20)]);
        assert!(wrapped(&"word ".repeat(100)).iter().all(|part| part.len() <= WIDTH));
    }
}
