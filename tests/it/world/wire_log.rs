//! What clients said to a server, as the server itself recorded it: below TLS, one file a session.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How a server writes its log.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    /// Dovecot's `rawlog_dir`: `*.in` files named `DATE-TIME.PID.N.in`, each line after a time stamp.
    Dovecot,
    /// Cyrus's telemetry: files named `imap-PID` or `pop3-PID`, `<TIME<` before what the client sent, `>TIME>` before the server's.
    Cyrus,
}

/// The sessions recorded so far can be set aside with [`WireLog::mark`]; commands are those of the others.
pub struct WireLog {
    dir: PathBuf,
    format: Format,
    before: BTreeSet<PathBuf>,
}

/// Commands that change mail, flags or mailboxes. CLOSE expunges.
const CHANGING: [&str; 14] = [
    "STORE",
    "APPEND",
    "EXPUNGE",
    "CREATE",
    "DELETE",
    "RENAME",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "COPY",
    "MOVE",
    "CLOSE",
    "SETACL",
    "SETMETADATA",
    "REPLACE",
];

/// POP3's commands behind the login.
const MAILDROP: [&str; 10] = ["STAT", "LIST", "UIDL", "TOP", "RETR", "DELE", "RSET", "NOOP", "CAPA", "QUIT"];

impl WireLog {
    pub fn new(dir: &Path, format: Format) -> WireLog {
        WireLog { dir: dir.to_owned(), format, before: BTreeSet::new() }
    }

    /// Sets aside what was recorded until now.
    pub fn mark(mut self) -> WireLog {
        self.before = self.files();
        self
    }

    /// Waits until the sessions since the mark have ended.
    pub fn wait(&self) {
        for file in self.files().difference(&self.before) {
            wait_for_end(&file.file_name().unwrap().to_string_lossy(), self.format);
        }
    }

    /// All commands of the sessions since the mark, without tags; waits until those sessions have ended.
    pub fn commands(&self) -> Vec<String> {
        self.wait();
        let mut commands = Vec::new();
        for file in self.files().difference(&self.before) {
            let text = fs::read(file).unwrap();
            for line in self.client_lines(&String::from_utf8_lossy(&text)) {
                let Some((tag, command)) = line.split_once(' ') else { continue };
                let is_tag = !tag.is_empty() && tag.len() <= 12 && tag.bytes().all(|b| b.is_ascii_alphanumeric());
                if is_tag && tag.bytes().any(|b| b.is_ascii_digit()) {
                    commands.push(command.trim_end().to_owned());
                }
            }
        }
        commands
    }

    /// All POP3 commands of the sessions since the mark, behind the login; waits until those sessions have ended.
    pub fn maildrop_commands(&self) -> Vec<String> {
        self.wait();
        let mut commands = Vec::new();
        for file in self.files().difference(&self.before) {
            let text = fs::read(file).unwrap();
            for line in self.client_lines(&String::from_utf8_lossy(&text)) {
                let verb = line.split(' ').next().unwrap_or_default().trim_end();
                if MAILDROP.contains(&verb) {
                    commands.push(line.trim_end().to_owned());
                }
            }
        }
        commands
    }

    /// Those of [`WireLog::commands`] that change something on the server, and FETCHes that set `\Seen`.
    pub fn changing_commands(&self) -> Vec<String> {
        self.commands().into_iter().filter(|c| is_changing(c)).collect()
    }

    fn client_lines(&self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let mut from_client = true;
        for line in text.lines() {
            match self.format {
                Format::Dovecot => lines.extend(line.split_once(' ').map(|(_, rest)| rest.to_owned())),
                Format::Cyrus => {
                    let (mark, rest) = telemetry_mark(line);
                    from_client = mark.unwrap_or(from_client);
                    if from_client {
                        lines.push(rest.to_owned());
                    }
                }
            }
        }
        lines
    }

    fn files(&self) -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(&self.dir).unwrap().map(|e| e.unwrap().path());
        entries
            .filter(|p| match self.format {
                Format::Dovecot => p.extension().is_some_and(|e| e == "in"),
                Format::Cyrus => true,
            })
            .collect()
    }
}

/// `Some(true)` where the client begins to speak, `Some(false)` where the server does.
fn telemetry_mark(line: &str) -> (Option<bool>, &str) {
    for (sign, from_client) in [('<', true), ('>', false)] {
        let Some((time, rest)) = line.strip_prefix(sign).and_then(|l| l.split_once(sign)) else { continue };
        if !time.is_empty() && time.bytes().all(|b| b.is_ascii_digit()) {
            return (Some(from_client), rest);
        }
    }
    (None, line)
}

/// Whether a command, without its tag, changes anything on the server.
pub fn is_changing(command: &str) -> bool {
    let upper = command.to_ascii_uppercase();
    let mut words = upper.split_ascii_whitespace();
    let verb = match words.next() {
        Some("UID") => words.next(),
        verb => verb,
    };
    let marks_seen = verb == Some("FETCH") && (upper.contains(" BODY[") || upper.contains("(BODY["));
    marks_seen || verb.is_some_and(|v| CHANGING.contains(&v))
}

/// A session's process writes its log and ends with the session.
fn wait_for_end(name: &str, format: Format) {
    let pid = match format {
        Format::Dovecot => name.split('.').nth(1),
        Format::Cyrus => name.rsplit('-').next(),
    };
    let process = Path::new("/proc").join(pid.unwrap());
    let limit = Instant::now() + Duration::from_secs(20);
    while process.exists() {
        assert!(Instant::now() < limit, "the server's session {name} does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn changing_commands_are_told_from_looking() {
    for c in ["UID STORE 1 +FLAGS.SILENT (\\Seen)", "append INBOX {3+}", "CLOSE", "UID FETCH 1 (UID BODY[])"] {
        assert!(is_changing(c), "{c}");
    }
    for c in ["UID FETCH 1 (UID BODY.PEEK[])", "LIST \"\" *", "EXAMINE Delete", "UID SEARCH DELETED", "SELECT x"] {
        assert!(!is_changing(c), "{c}");
    }
}
