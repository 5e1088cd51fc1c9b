//! NDJSON, version 1: what `--json` prints, and its schema.
//!
//! One object a line on standard output, UTF-8, in the order in which things happen. Every object has `v` (1), `event`,
//! and, but for `mailbox` rows of a table, `account`. New events and new keys may come without a new version: skip what
//! you do not know. A key that is absent or `null` means "does not apply" or "not known". Each account's last line is
//! its `summary`. Nothing is said twice: standard error has only what stands before or beside an account's run.
//!
//! | event | keys | when |
//! | --- | --- | --- |
//! | `connected` | `host`, `tier` | a connection stands; `tier` names what the observation rests on |
//! | `observed` | `mailboxes`, `changed` | both sides were looked at |
//! | `action` | `mailbox`, `action`, `changes`, `messages`, the action's own keys; `done`, `done-octets` | planned (dry run, without `done`) or done |
//! | `mailbox-done` | `mailbox`, `counts` | a mailbox is finished |
//! | `failure` | `mailbox`, `uid` or `file` or neither, `what`, `hint` | a message or mailbox failed; the rest goes on, later runs try again |
//! | `refusal` | `mailbox` (`null`: the account), `side`, `deletions`, `of`, `allow` | the guard refused deletions; `allow` is the command that allows them |
//! | `notice` | `text` | something to know that is no failure |
//! | `error` | `kind`, `what`, `server`, `hint`, `exit` | the account's run could not end well |
//! | `summary` | `outcome`, `dry-run`, `refused`, `counts`, `mailboxes`, `messages`, `sent`, `received`, `commands`, `milliseconds` | the account's last line |
//! | `mailbox`, `account`, `finding` | as the columns of the table they are rows of | `mailboxes`, `status`, `check` |
//!
//! * `action`: `create-mailbox`, `reset-mailbox`, `link`, `rename`, `agree`, `download`, `upload`, `set-flags`, `delete`,
//!   `keep`, `forget`, `remove-mailbox`, `forget-mailbox`. Their own keys: `side` (`local` or `remote`), `uid`, `uids`
//!   (`1:3,7`), `file` (the name up to `:2,`), `flags` (a list), `change` (`add` and `remove`, lists), `octets`,
//!   `disposal` (`expunge`, `trash`, `mark`).
//! * `changes`: the side whose mail the action changes, `null` when it only changes what is recorded.
//! * `counts`: `local` and `remote`, each with `new`, `flags`, `deleted`, `mailboxes-created`, `mailboxes-removed`,
//!   `octets`; `linked`, `failed`. In a dry run they are what would be done.
//! * `outcome`: `in-sync`, `planned` (a dry run found something to do), `some-failed`, `refused`, `aborted`.
//! * `kind`: `usage`, `config`, `local-tree`, `state`, `auth`, `unreachable`, `tls`, `try-later`, `protocol`, `refused`,
//!   `guard`, `locked`, `interrupted`; `exit` is the exit code that belongs to it.
//! * `sent`, `received`: octets on the wire, compressed where they were.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};
use serde_json::{Map, Value, json};

use super::console::Console;
use super::count::{Outcome, Tallies, Tally};
use super::event::{Event, Report, Summary};
use super::{Output, Run, words};
use crate::error::{Error, Item, ItemFailure, Kind, is_hidden};
use crate::exit::Exit;
use crate::mail::MailboxName;
use crate::reconcile::Action;
use crate::reconcile::guard::Refusal;

/// Renders events as NDJSON.
pub struct Json<O, E> {
    console: Console<O, E>,
    output: Output,
    tallies: Tallies,
}

impl<O: Write + Send, E: Write + Send> Json<O, E> {
    pub(super) fn new(console: Console<O, E>, output: Output) -> Self {
        Json { console, output, tallies: Tallies::default() }
    }

    fn put(&self, account: &str, event: &str, fields: Value) {
        let fields = if let Value::Object(fields) = fields { fields } else { Map::new() };
        self.console.data(&object(Some(account), event, fields));
    }

    fn refusal(&self, account: &str, refusal: &Refusal) {
        let mut fields = as_value(refusal);
        with(&mut fields, "allow", words::allow(account, refusal, &self.output.again));
        self.put(account, "refusal", fields);
    }

    fn summary(&self, account: &str, outcome: Outcome, tally: Tally, summary: Summary) {
        let mut fields = as_value(Summary { counts: tally.counts, ..summary });
        with(&mut fields, "outcome", as_value(outcome));
        with(&mut fields, "dry-run", self.output.run == Run::Dry);
        with(&mut fields, "refused", tally.refused);
        self.put(account, "summary", fields);
    }
}

impl<O: Write + Send, E: Write + Send> Report for Json<O, E> {
    fn event(&self, account: &str, event: Event<'_>) {
        let tally = self.tallies.take(account, self.output.run, &event);
        match event {
            Event::Connected { host, tier } => self.put(account, "connected", json!({ "host": host, "tier": tier })),
            Event::Observed { mailboxes, changed } => {
                self.put(account, "observed", json!({ "mailboxes": mailboxes, "changed": changed }));
            }
            Event::Planned { plan, refusals } if self.output.run == Run::Dry => {
                plan.actions().for_each(|(mailbox, a)| self.put(account, "action", action(mailbox, a)));
                refusals.iter().for_each(|r| self.refusal(account, r));
            }
            Event::Planned { .. } | Event::Progress(_) => {}
            Event::Done { mailbox, action: a, done, octets } => {
                let mut fields = action(mailbox, a);
                with(&mut fields, "done", done);
                with(&mut fields, "done-octets", octets);
                self.put(account, "action", fields);
            }
            Event::MailboxDone { mailbox, counts } => {
                self.put(account, "mailbox-done", json!({ "mailbox": mailbox, "counts": counts }));
            }
            Event::Failed(failure) => self.put(account, "failure", failure_fields(failure)),
            Event::Refused(refusal) => self.refusal(account, refusal),
            Event::Notice(text) => self.put(account, "notice", json!({ "text": text })),
            Event::Finished(summary) => self.summary(account, tally.outcome(), tally, summary),
            Event::Aborted(error) => {
                self.put(account, "error", error_fields(error));
                self.summary(account, Outcome::Aborted, tally, Summary::default());
            }
        }
    }
}

/// One line of version 1: `v`, `account`, `event`, then `fields` in their order.
pub(super) fn object(account: Option<&str>, event: &str, fields: Map<String, Value>) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        v: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        account: Option<&'a str>,
        event: &'a str,
        #[serde(flatten)]
        fields: Map<String, Value>,
    }
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Safe(CompactFormatter));
    // Strings, numbers, lists and maps with string keys, written to memory: there is nothing that could fail.
    let _ = Line { v: 1, account, event, fields }.serialize(&mut serializer);
    String::from_utf8(bytes).unwrap_or_default()
}

fn as_value(data: impl Serialize) -> Value {
    serde_json::to_value(data).unwrap_or_default()
}

fn with(fields: &mut Value, key: &str, value: impl Into<Value>) {
    if let Value::Object(map) = fields {
        map.insert(key.to_owned(), value.into());
    }
}

fn action(mailbox: &MailboxName, action: &Action) -> Value {
    let mut fields = as_value(action);
    with(&mut fields, "mailbox", as_value(mailbox));
    with(&mut fields, "changes", as_value(action.changes()));
    with(&mut fields, "messages", action.messages());
    fields
}

fn failure_fields(failure: &ItemFailure) -> Value {
    let mut fields = json!({ "mailbox": failure.mailbox, "what": failure.what, "hint": failure.hint });
    match &failure.item {
        Item::Mailbox => {}
        Item::Message(uid) => with(&mut fields, "uid", as_value(uid)),
        Item::File(file) => with(&mut fields, "file", as_value(file)),
    }
    fields
}

fn error_fields(error: &Error) -> Value {
    json!({
        "kind": kind(error.kind()),
        "what": error.to_string(),
        "server": error.server_words(),
        "hint": error.hint_text(),
        "exit": Exit::from(error.kind()).code(),
    })
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Usage => "usage",
        Kind::Config => "config",
        Kind::LocalTree => "local-tree",
        Kind::State => "state",
        Kind::Auth => "auth",
        Kind::Unreachable => "unreachable",
        Kind::Tls => "tls",
        Kind::TryLater => "try-later",
        Kind::Protocol => "protocol",
        Kind::Refused => "refused",
        Kind::Guard => "guard",
        Kind::Locked => "locked",
        Kind::Interrupted => "interrupted",
    }
}

/// Writes strings so that a terminal shows the line as it is: what [`is_hidden`] names is escaped, nothing is lost.
struct Safe(CompactFormatter);

impl Formatter for Safe {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, hidden)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
            let (before, from) = rest.split_at(at);
            self.0.write_string_fragment(writer, before)?;
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = from.get(hidden.len_utf8()..).unwrap_or_default();
        }
        self.0.write_string_fragment(writer, rest)
    }
}
