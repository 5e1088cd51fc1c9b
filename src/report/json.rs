//! NDJSON, version 1: what `--json` prints, and its schema.
//!
//! One object a line on standard output, UTF-8, in the order in which things happen. Every object has `v` (1), `account`
//! and `event`; trouble of the program itself (no configuration) goes to standard error as text. New events and new keys
//! may come without a new version: skip what you do not know. A key that is absent or `null` means "does not apply" or
//! "not known". The last line of an account's run is its `summary`.
//!
//! | event | keys | when |
//! | --- | --- | --- |
//! | `connected` | `host`, `tier` | a connection stands; `tier` names what the observation rests on |
//! | `observed` | `mailboxes`, `changed` | both sides were looked at |
//! | `action` | `mailbox`, `action`, `target`, `messages`, the action's own keys; `done`, `done-octets`; `refused` | done, or planned (dry run: without `done…`, and `refused` is true where the guard refuses it) |
//! | `mailbox-done` | `mailbox`, `counts` | a mailbox is finished |
//! | `failure` | `mailbox`, `uid` or `file` or neither, `what`, `hint` | a message or mailbox failed; the rest goes on, later runs try again |
//! | `refusal` | `mailbox` (`null`: the account), `side`, `deletions`, `of`, `allow` | the guard refused deletions; `allow` is the command that allows them |
//! | `notice` | `text` | something to know that is no failure |
//! | `error` | `kind`, `what`, `server`, `hint`, `exit` | the account's run could not end well |
//! | `summary` | `outcome`, `dry-run`, `refused`, `counts`, `mailboxes`, `messages`, `sent`, `received`, `commands`, `milliseconds` | the account's last line |
//! | `finding` | `mark` (`good`, `note`, `bad`), `subject`, `what`, `fix` | a line of `check` |
//! | `mailbox` | `mailbox`, `on-server`, `use`, `messages`, `local`, `selected` | a row of `mailboxes` |
//! | `last-run` | `last-run`, `exit` | `status`: how the last run ended |
//! | `unresolved` | `mailbox`, `item`, `since`, `what`, `hint` | `status`: what earlier runs could not do |
//!
//! * `action`: `rename-mailbox`, `create-mailbox`, `reset-mailbox`, `link`, `rename`, `agree`, `move`, `copy`, `download`,
//!   `upload`, `set-flags`, `delete`, `moved-out`, `keep`, `forget`, `remove-mailbox`, `forget-mailbox`. Their own keys: `side`
//!   (`local` or `remote`), `uid`, `uids` (`1:3,7`), `file` (the name up to `:2,`), `flags` (a list), `change` (`add` and
//!   `remove`, lists), `octets`, `disposal` (`expunge`, `trash`, `mark`), `from` and `to` (a
//!   mailbox), `left-out` (`always`, `this-time`). A move or copy has `from` and
//!   `uid`, where it comes from, `file` or `new-uid`, what it is here already, and the changes of flags that come with it,
//!   `local` and `remote`; its `octets` are not transferred.
//! * `target`: the side whose mail the action changes; `null` when it only changes what is recorded.
//! * `counts`: `local` and `remote`, each with `new`, `moved`, `flags`, `deleted`, `mailboxes-created`,
//!   `mailboxes-renamed`, `mailboxes-removed`, `octets`; `linked`, `failed`. In a dry run they are what would be done.
//! * `outcome`: `in-sync`, `planned` (a dry run found something to do), `some-failed`, `refused`, `aborted`.
//! * `kind`: `usage`, `config`, `local-tree`, `state`, `auth`, `unreachable`, `tls`, `try-later`, `protocol`, `refused`,
//!   `guard`, `locked`, `interrupted`; `exit` is the exit code that belongs to it.
//! * `sent`, `received`: octets on the wire, compressed where they were.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};
use serde_json::{Map, Value, json};

use super::console::Console;
use super::count::{Outcome, Tallies, Tally, refuses};
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
    /// A renderer on `console`.
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
                for (mailbox, a) in plan.actions() {
                    let mut fields = action(mailbox, a);
                    if refuses(refusals, mailbox, a) {
                        with(&mut fields, "refused", true);
                    }
                    self.put(account, "action", fields);
                }
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

/// One line of version 1: `v`, `account`, `event`, then `fields` by name.
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
    with(&mut fields, "target", as_value(action.changes()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::{self, Hostile};
    use crate::report::{Format, Verbosity};

    fn render(run: Run, verbosity: Verbosity) -> (String, String) {
        let output = Output { format: Format::Json, verbosity, run, ..Output::default() };
        samples::rendered(|console| Json::new(console, output), run, "work", &Hostile::no())
    }

    #[test]
    fn a_real_run_is_told_action_by_action() {
        let (out, err) = render(Run::Real, Verbosity::Normal);
        assert_eq!(err, "");
        samples::assert_same(
            out,
            snapbox::str![[r#"
{"v":1,"account":"work","event":"connected","host":"imap.example.org:993","tier":"QRESYNC"}
{"v":1,"account":"work","event":"observed","changed":3,"mailboxes":20}
{"v":1,"account":"work","event":"refusal","allow":"mailtide sync work --allow-deletions INBOX","deletions":20,"mailbox":"INBOX","of":30,"side":"remote"}
{"v":1,"account":"work","event":"action","action":"link","done":1,"done-octets":0,"file":"1700000004.d","flags":["\\Seen","Work"],"mailbox":"INBOX","messages":1,"target":null,"uid":20}
{"v":1,"account":"work","event":"action","action":"rename","done":1,"done-octets":0,"file":"1700000005.e","mailbox":"INBOX","messages":1,"target":null,"uid":20}
{"v":1,"account":"work","event":"action","action":"agree","done":1,"done-octets":0,"flags":[],"mailbox":"INBOX","messages":1,"target":null,"uids":"21"}
{"v":1,"account":"work","event":"action","action":"move","done":1,"done-octets":0,"file":"1700000006.f","flags":["\\Seen"],"from":"Old","local":{"add":[],"remove":[]},"mailbox":"INBOX","messages":1,"octets":4000,"remote":{"add":["\\Flagged"],"remove":[]},"target":"remote","uid":22}
{"v":1,"account":"work","event":"action","action":"copy","done":1,"done-octets":0,"flags":[],"from":"Old","local":{"add":[],"remove":[]},"mailbox":"INBOX","messages":1,"new-uid":14,"octets":5000,"remote":{"add":[],"remove":[]},"target":"local","uid":23}
{"v":1,"account":"work","event":"action","action":"download","done":2,"done-octets":12345,"mailbox":"INBOX","messages":3,"octets":12345,"target":"local","uids":"11:13"}
{"v":1,"account":"work","event":"action","action":"upload","done":1,"done-octets":2000,"file":"1700000001.a","flags":["\\Seen"],"mailbox":"INBOX","messages":1,"octets":2000,"target":"remote"}
{"v":1,"account":"work","event":"action","action":"upload","done":1,"done-octets":2000,"file":"1700000002.b","flags":["\\Seen"],"mailbox":"INBOX","messages":1,"octets":2000,"target":"remote"}
{"v":1,"account":"work","event":"action","action":"upload","done":1,"done-octets":2000,"file":"1700000003.c","flags":["\\Seen"],"mailbox":"INBOX","messages":1,"octets":2000,"target":"remote"}
{"v":1,"account":"work","event":"action","action":"set-flags","change":{"add":["\\Seen","Work"],"remove":["\\Flagged"]},"done":7,"done-octets":0,"mailbox":"INBOX","messages":7,"side":"remote","target":"remote","uids":"1,3,5,7,9,11,13"}
{"v":1,"account":"work","event":"action","action":"delete","disposal":"mark","done":1,"done-octets":0,"mailbox":"INBOX","messages":1,"side":"local","target":"local","uids":"2"}
{"v":1,"account":"work","event":"action","action":"keep","done":1,"done-octets":0,"mailbox":"INBOX","messages":1,"side":"remote","target":null,"uids":"50"}
{"v":1,"account":"work","event":"action","action":"moved-out","done":1,"done-octets":0,"left-out":"always","mailbox":"INBOX","messages":1,"target":null,"to":"Spam","uids":"52"}
{"v":1,"account":"work","event":"action","action":"forget","done":1,"done-octets":0,"mailbox":"INBOX","messages":1,"target":null,"uids":"51"}
{"v":1,"account":"work","event":"action","action":"create-mailbox","done":1,"done-octets":0,"mailbox":"Neu-Über","messages":0,"side":"remote","target":"remote"}
{"v":1,"account":"work","event":"action","action":"rename-mailbox","done":1,"done-octets":0,"from":"Former","mailbox":"New","messages":0,"side":"local","target":"local"}
{"v":1,"account":"work","event":"action","action":"reset-mailbox","done":1,"done-octets":0,"mailbox":"Old","messages":0,"target":null}
{"v":1,"account":"work","event":"action","action":"delete","disposal":"trash","done":1,"done-octets":0,"mailbox":"Old","messages":1,"side":"remote","target":"remote","uids":"1"}
{"v":1,"account":"work","event":"action","action":"remove-mailbox","done":1,"done-octets":0,"mailbox":"Old","messages":0,"side":"local","target":"local"}
{"v":1,"account":"work","event":"action","action":"forget-mailbox","done":1,"done-octets":0,"mailbox":"Old","messages":0,"target":null}
{"v":1,"account":"work","event":"mailbox-done","counts":{"failed":3,"linked":1,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":2,"octets":12345},"remote":{"deleted":0,"flags":7,"mailboxes-created":1,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":3,"octets":6000}},"mailbox":"INBOX"}
{"v":1,"account":"work","event":"mailbox-done","counts":{"failed":3,"linked":1,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":2,"octets":12345},"remote":{"deleted":0,"flags":7,"mailboxes-created":1,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":3,"octets":6000}},"mailbox":"Neu-Über"}
{"v":1,"account":"work","event":"mailbox-done","counts":{"failed":3,"linked":1,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":2,"octets":12345},"remote":{"deleted":0,"flags":7,"mailboxes-created":1,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":3,"octets":6000}},"mailbox":"New"}
{"v":1,"account":"work","event":"mailbox-done","counts":{"failed":3,"linked":1,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":2,"octets":12345},"remote":{"deleted":0,"flags":7,"mailboxes-created":1,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":3,"octets":6000}},"mailbox":"Old"}
{"v":1,"account":"work","event":"failure","hint":"Look at it with another client.","mailbox":"Old","uid":12,"what":"The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"work","event":"failure","file":"x","hint":"Look at it with another client.","mailbox":"Old","what":"The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"work","event":"failure","hint":"Look at it with another client.","mailbox":"Old","what":"The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"work","event":"notice","text":"The server says: be nice"}
{"v":1,"account":"work","event":"summary","commands":12,"counts":{"failed":3,"linked":1,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":2,"octets":12345},"remote":{"deleted":0,"flags":7,"mailboxes-created":1,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":3,"octets":6000}},"dry-run":false,"mailboxes":20,"messages":19500,"milliseconds":349,"outcome":"refused","received":18999,"refused":1,"sent":744}
{"v":1,"account":"home","event":"error","exit":5,"hint":"Look at it with another client.","kind":"refused","server":"NO gone","what":"imap: The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"home","event":"summary","commands":0,"counts":{"failed":0,"linked":0,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":0,"octets":0},"remote":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":0,"octets":0}},"dry-run":false,"mailboxes":0,"messages":0,"milliseconds":0,"outcome":"aborted","received":0,"refused":0,"sent":0}

"#]],
        );
    }

    #[test]
    fn a_dry_run_has_the_same_shape_without_done() {
        let (out, _) = render(Run::Dry, Verbosity::Quiet);
        samples::assert_same(
            out,
            snapbox::str![[r#"
{"v":1,"account":"work","event":"connected","host":"imap.example.org:993","tier":"QRESYNC"}
{"v":1,"account":"work","event":"observed","changed":3,"mailboxes":20}
{"v":1,"account":"work","event":"action","action":"link","file":"1700000004.d","flags":["\\Seen","Work"],"mailbox":"INBOX","messages":1,"target":null,"uid":20}
{"v":1,"account":"work","event":"action","action":"rename","file":"1700000005.e","mailbox":"INBOX","messages":1,"target":null,"uid":20}
{"v":1,"account":"work","event":"action","action":"agree","flags":[],"mailbox":"INBOX","messages":1,"target":null,"uids":"21"}
{"v":1,"account":"work","event":"action","action":"move","file":"1700000006.f","flags":["\\Seen"],"from":"Old","local":{"add":[],"remove":[]},"mailbox":"INBOX","messages":1,"octets":4000,"remote":{"add":["\\Flagged"],"remove":[]},"target":"remote","uid":22}
{"v":1,"account":"work","event":"action","action":"copy","flags":[],"from":"Old","local":{"add":[],"remove":[]},"mailbox":"INBOX","messages":1,"new-uid":14,"octets":5000,"remote":{"add":[],"remove":[]},"target":"local","uid":23}
{"v":1,"account":"work","event":"action","action":"download","mailbox":"INBOX","messages":3,"octets":12345,"target":"local","uids":"11:13"}
{"v":1,"account":"work","event":"action","action":"upload","file":"1700000001.a","flags":["\\Seen"],"mailbox":"INBOX","messages":1,"octets":2000,"target":"remote"}
{"v":1,"account":"work","event":"action","action":"upload","file":"1700000002.b","flags":["\\Seen"],"mailbox":"INBOX","messages":1,"octets":2000,"target":"remote"}
{"v":1,"account":"work","event":"action","action":"upload","file":"1700000003.c","flags":["\\Seen"],"mailbox":"INBOX","messages":1,"octets":2000,"target":"remote"}
{"v":1,"account":"work","event":"action","action":"set-flags","change":{"add":["\\Seen","Work"],"remove":["\\Flagged"]},"mailbox":"INBOX","messages":7,"side":"remote","target":"remote","uids":"1,3,5,7,9,11,13"}
{"v":1,"account":"work","event":"action","action":"delete","disposal":"mark","mailbox":"INBOX","messages":1,"side":"local","target":"local","uids":"2"}
{"v":1,"account":"work","event":"action","action":"delete","disposal":"expunge","mailbox":"INBOX","messages":20,"refused":true,"side":"remote","target":"remote","uids":"30:49"}
{"v":1,"account":"work","event":"action","action":"keep","mailbox":"INBOX","messages":1,"side":"remote","target":null,"uids":"50"}
{"v":1,"account":"work","event":"action","action":"moved-out","left-out":"always","mailbox":"INBOX","messages":1,"target":null,"to":"Spam","uids":"52"}
{"v":1,"account":"work","event":"action","action":"forget","mailbox":"INBOX","messages":1,"target":null,"uids":"51"}
{"v":1,"account":"work","event":"action","action":"create-mailbox","mailbox":"Neu-Über","messages":0,"side":"remote","target":"remote"}
{"v":1,"account":"work","event":"action","action":"rename-mailbox","from":"Former","mailbox":"New","messages":0,"side":"local","target":"local"}
{"v":1,"account":"work","event":"action","action":"reset-mailbox","mailbox":"Old","messages":0,"target":null}
{"v":1,"account":"work","event":"action","action":"delete","disposal":"trash","mailbox":"Old","messages":1,"side":"remote","target":"remote","uids":"1"}
{"v":1,"account":"work","event":"action","action":"remove-mailbox","mailbox":"Old","messages":0,"side":"local","target":"local"}
{"v":1,"account":"work","event":"action","action":"forget-mailbox","mailbox":"Old","messages":0,"target":null}
{"v":1,"account":"work","event":"refusal","allow":"mailtide sync work --allow-deletions INBOX","deletions":20,"mailbox":"INBOX","of":30,"side":"remote"}
{"v":1,"account":"work","event":"failure","hint":"Look at it with another client.","mailbox":"Old","uid":12,"what":"The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"work","event":"failure","file":"x","hint":"Look at it with another client.","mailbox":"Old","what":"The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"work","event":"failure","hint":"Look at it with another client.","mailbox":"Old","what":"The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"work","event":"notice","text":"The server says: be nice"}
{"v":1,"account":"work","event":"summary","commands":12,"counts":{"failed":3,"linked":1,"local":{"deleted":1,"flags":0,"mailboxes-created":0,"mailboxes-removed":1,"mailboxes-renamed":1,"moved":1,"new":3,"octets":12345},"remote":{"deleted":1,"flags":7,"mailboxes-created":1,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":1,"new":3,"octets":6000}},"dry-run":true,"mailboxes":20,"messages":19500,"milliseconds":349,"outcome":"refused","received":18999,"refused":1,"sent":744}
{"v":1,"account":"home","event":"error","exit":5,"hint":"Look at it with another client.","kind":"refused","server":"NO gone","what":"imap: The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"home","event":"summary","commands":0,"counts":{"failed":0,"linked":0,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":0,"octets":0},"remote":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":0,"octets":0}},"dry-run":true,"mailboxes":0,"messages":0,"milliseconds":0,"outcome":"aborted","received":0,"refused":0,"sent":0}

"#]],
        );
    }

    #[test]
    fn planned_and_done_actions_differ_by_done_only() {
        let actions = |run| -> Vec<Value> {
            let (out, _) = render(run, Verbosity::Normal);
            let lines = out.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
            lines
                .filter(|l| l["event"] == "action" && l["refused"] != true)
                .map(|mut l| {
                    let done = l.as_object_mut().unwrap();
                    assert_eq!(done.remove("done").is_some(), run == Run::Real);
                    assert_eq!(done.remove("done-octets").is_some(), run == Run::Real);
                    l
                })
                .collect()
        };
        assert_eq!(actions(Run::Dry), actions(Run::Real));
        assert!(!actions(Run::Dry).is_empty());
    }

    #[test]
    fn an_aborted_run_ends_with_a_summary_too() {
        let output = Output { format: Format::Json, ..Output::default() };
        let error = Error::new(Kind::Auth, "The server refused the login").server_said("no\u{7}").hint("Try again.");
        let (out, err) = samples::drawn(
            |console| Json::new(console, output),
            |report| {
                report.event("work", Event::Aborted(&error));
            },
        );
        assert_eq!(err, "");
        samples::assert_same(
            out,
            snapbox::str![[r#"
{"v":1,"account":"work","event":"error","exit":4,"hint":"Try again.","kind":"auth","server":"no\u0007","what":"The server refused the login; the server said `no\\u{7}`"}
{"v":1,"account":"work","event":"summary","commands":0,"counts":{"failed":0,"linked":0,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":0,"octets":0},"remote":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":0,"octets":0}},"dry-run":false,"mailboxes":0,"messages":0,"milliseconds":0,"outcome":"aborted","received":0,"refused":0,"sent":0}

"#]],
        );
    }

    #[test]
    fn hidden_characters_are_escaped_and_come_back() {
        let text = "a\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{feff}\u{2028}\"\\é会\u{1f4e7}\n";
        let mut fields = Map::new();
        fields.insert("text".into(), text.into());
        let line = object(None, "notice", fields);
        assert!(!line.contains(is_hidden), "{line}");
        assert!(line.contains("é会\u{1f4e7}"), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["text"], text);
    }
}
