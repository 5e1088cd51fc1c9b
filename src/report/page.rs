//! What the commands other than `sync` print: tables, findings, single lines, errors, and whole texts.

use std::io::Write;

use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr;

use super::console::{Console, Tone};
use super::{Format, json, words};
use crate::error::{Error, safe_line, safe_text};

/// One cell of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Text, foreign or not.
    Text(String),
    /// A number.
    Count(u64),
    /// A size in octets.
    Octets(u64),
    /// A time in seconds.
    Seconds(u64),
    /// Nothing is known.
    Nothing,
}

/// How a finding of `check` looks at its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// As it should be.
    Good,
    /// Works, and could be better.
    Note,
    /// Keeps a run from working.
    Bad,
}

/// One line of `mailtide check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding<'a> {
    /// How good it is.
    pub mark: Mark,
    /// What was looked at: `tls`, `login`, …
    pub subject: &'a str,
    /// What was found, a full sentence without the final stop.
    pub what: &'a str,
    /// What to do about it.
    pub fix: Option<&'a str>,
}

/// Prints a table: aligned columns under `headings` for a person, nothing when there is no row; for a program one
/// object a row, `{"v":1,"event":EVENT,HEADING:CELL,…}`. Headings are lower-case words, as keys are.
pub fn table(format: Format, event: &str, headings: &[&str], rows: &[Vec<Cell>]) {
    put_table(&Console::standard(false), format, event, headings, rows);
}

/// Prints a finding about `account`: for a person a line with a mark and one with the fix, for a program an object
/// with the event `finding`.
pub fn finding(format: Format, account: &str, finding: &Finding<'_>) {
    put_finding(&Console::standard(false), format, account, finding);
}

/// Prints one line of data; foreign text in it is made safe.
pub fn line(text: &str) {
    Console::standard(false).data(&safe_text(text, 2000));
}

/// Prints an error that no account's run reports, and its hint, to standard error.
pub fn error_line(error: &Error) {
    let console = Console::standard(false);
    words::aborted(None, error).iter().for_each(|line| console.note(line));
}

/// Prints a line for a person to standard error; foreign text in it is made safe.
pub fn note(text: &str) {
    Console::standard(false).note(&safe_text(text, 2000));
}

/// Prints a text that the program itself made, as it is: the man page, completions.
pub fn text(bytes: &[u8]) {
    Console::standard(false).raw(bytes);
}

fn put_table<O: Write, E: Write>(
    console: &Console<O, E>,
    format: Format,
    event: &str,
    headings: &[&str],
    rows: &[Vec<Cell>],
) {
    match format {
        Format::Json => {
            for row in rows {
                let fields = headings.iter().zip(row).map(|(h, cell)| ((*h).to_owned(), cell.value()));
                console.data(&json::object(None, event, fields.collect()));
            }
        }
        Format::Human if rows.is_empty() => {}
        Format::Human => {
            let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(Cell::show).collect()).collect();
            let wide = |column: usize| {
                let body = cells.iter().filter_map(|row| row.get(column)).map(|c| c.width()).max().unwrap_or_default();
                body.max(headings.get(column).map_or(0, |h| h.width()))
            };
            let widths: Vec<usize> = (0..headings.len()).map(wide).collect();
            let upper: Vec<String> = headings.iter().map(|h| h.to_uppercase()).collect();
            let numeric = |column: usize| {
                rows.iter()
                    .any(|row| matches!(row.get(column), Some(Cell::Count(_) | Cell::Octets(_) | Cell::Seconds(_))))
            };
            for (n, row) in std::iter::once(&upper).chain(&cells).enumerate() {
                let padded = row.iter().zip(&widths).enumerate().map(|(column, (cell, wide))| {
                    let space = " ".repeat(wide.saturating_sub(cell.width()));
                    if numeric(column) { format!("{space}{cell}") } else { format!("{cell}{space}") }
                });
                let line = padded.collect::<Vec<_>>().join("  ");
                let colour = n == 0 && console.terminal.colour_out;
                console.data(&Tone::Heading.paint(colour, line.trim_end()));
            }
        }
    }
}

fn put_finding<O: Write, E: Write>(console: &Console<O, E>, format: Format, account: &str, finding: &Finding<'_>) {
    let (tone, human, key) = match finding.mark {
        Mark::Good => (Tone::Good, "ok  ", "good"),
        Mark::Note => (Tone::Note, "note", "note"),
        Mark::Bad => (Tone::Bad, "FAIL", "bad"),
    };
    match format {
        Format::Json => {
            let mut fields = Map::new();
            fields.insert("mark".into(), key.into());
            fields.insert("subject".into(), finding.subject.into());
            fields.insert("what".into(), finding.what.into());
            fields.insert("fix".into(), finding.fix.into());
            console.data(&json::object(Some(account), "finding", fields));
        }
        Format::Human => {
            let mark = tone.paint(console.terminal.colour_out, human);
            let (account, subject) = (safe_line(account), safe_line(finding.subject));
            console.data(&format!("{mark}  {account}: {subject}: {}", safe_text(finding.what, 2000)));
            if let Some(fix) = finding.fix {
                console.data(&format!("      fix: {}", safe_text(fix, 2000)));
            }
        }
    }
}

impl Cell {
    fn show(&self) -> String {
        match self {
            Cell::Text(text) => safe_line(text),
            Cell::Count(n) => words::count(*n),
            Cell::Octets(n) => words::size(*n),
            Cell::Seconds(n) => words::age(*n),
            Cell::Nothing => "–".to_owned(),
        }
    }

    fn value(&self) -> Value {
        match self {
            Cell::Text(text) => text.as_str().into(),
            Cell::Count(n) | Cell::Octets(n) | Cell::Seconds(n) => (*n).into(),
            Cell::Nothing => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::console::Terminal;
    use crate::report::progress::Bars;

    fn console() -> Console<Vec<u8>, Vec<u8>> {
        Console::new(Vec::new(), Vec::new(), Terminal::default(), Bars::hidden())
    }

    fn rows() -> Vec<Vec<Cell>> {
        vec![
            vec![Cell::Text("INBOX".into()), Cell::Count(12_345), Cell::Octets(300_000_000)],
            vec![Cell::Text("会議\u{1b}[2J".into()), Cell::Count(7), Cell::Nothing],
        ]
    }

    #[test]
    fn a_table_is_aligned_by_what_a_terminal_shows() {
        let console = console();
        put_table(&console, Format::Human, "mailbox", &["mailbox", "messages", "size"], &rows());
        put_table(&console, Format::Human, "mailbox", &["mailbox"], &[]);
        let text = String::from_utf8(console.into_streams().0).unwrap();
        assert_eq!(
            text,
            "MAILBOX        MESSAGES    SIZE\n\
             INBOX            12,345  300 MB\n\
             会議\\u{1b}[2J         7       –\n"
        );
    }

    #[test]
    fn a_table_for_a_program_is_an_object_a_row() {
        let console = console();
        put_table(&console, Format::Json, "mailbox", &["name", "messages", "size"], &rows());
        let text = String::from_utf8(console.into_streams().0).unwrap();
        assert_eq!(
            text,
            "{\"v\":1,\"event\":\"mailbox\",\"messages\":12345,\"name\":\"INBOX\",\"size\":300000000}\n\
             {\"v\":1,\"event\":\"mailbox\",\"messages\":7,\"name\":\"会議\\u001b[2J\",\"size\":null}\n"
        );
    }

    #[test]
    fn a_finding_has_its_fix_below() {
        let console = console();
        let bad =
            Finding { mark: Mark::Bad, subject: "tls", what: "The certificate has expired", fix: Some("Renew it.") };
        let good = Finding { mark: Mark::Good, subject: "tcp", what: "Connected", fix: None };
        put_finding(&console, Format::Human, "work", &good);
        put_finding(&console, Format::Human, "work", &bad);
        put_finding(&console, Format::Json, "work", &bad);
        let text = String::from_utf8(console.into_streams().0).unwrap();
        assert_eq!(
            text,
            "ok    work: tcp: Connected\n\
             FAIL  work: tls: The certificate has expired\n      fix: Renew it.\n\
             {\"v\":1,\"account\":\"work\",\"event\":\"finding\",\"fix\":\"Renew it.\",\"mark\":\"bad\",\
             \"subject\":\"tls\",\"what\":\"The certificate has expired\"}\n"
        );
    }
}
