//! What a good server does with a command, and says.

use std::collections::BTreeSet;

use super::server::Shared;
use super::store::{Mailbox, Store};
use super::talk::{Argument, Command};
use crate::world::server::{PASSWORD, USER};

const FLAGS: &str = "\\Answered \\Flagged \\Deleted \\Seen \\Draft";

/// Untagged data, and the tagged line without its tag.
pub struct Answer {
    pub data: Vec<u8>,
    pub last: String,
}

impl Answer {
    pub fn only(last: impl Into<String>) -> Answer {
        Answer { data: Vec::new(), last: last.into() }
    }

    fn lines(lines: &[String], last: impl Into<String>) -> Answer {
        Answer { data: lines.iter().flat_map(|l| octets(&format!("{l}\r\n"))).collect(), last: last.into() }
    }
}

/// One connection behind its greeting.
pub struct Session<'a> {
    shared: &'a Shared,
    selected: Option<String>,
    qresync: bool,
}

/// Characters as the octets of their numbers; see [`Argument::text`].
pub fn octets(text: &str) -> Vec<u8> {
    text.chars().map(|c| c as u8).collect()
}

/// A mailbox's name in quotes, or as a literal where quotes cannot hold it.
fn quoted(name: &str) -> String {
    let plain =
        !name.is_empty() && name.chars().all(|c| c.is_ascii() && !c.is_ascii_control() && c != '"' && c != '\\');
    if plain { format!("\"{name}\"") } else { format!("{{{}}}\r\n{name}", name.chars().count()) }
}

/// `NO` in words.
type Refused = &'static str;

impl<'a> Session<'a> {
    pub fn new(shared: &'a Shared) -> Session<'a> {
        Session { shared, selected: None, qresync: false }
    }

    fn delimiter(&self) -> char {
        self.shared.prefix.chars().next_back().unwrap_or('/')
    }

    pub fn perform(&mut self, command: &Command, capability: &str) -> Answer {
        let folded = |word: String| if word.eq_ignore_ascii_case("INBOX") { "INBOX".to_owned() } else { word };
        let words: Vec<String> = command.arguments.iter().map(|argument| folded(argument.text())).collect();
        let word = |n: usize| words.get(n).map_or("", String::as_str);
        let verb = word(0).to_ascii_uppercase();
        let shared = self.shared;
        let mut store = shared.store.lock().unwrap();
        let store = &mut *store;
        let done = match verb.as_str() {
            "CAPABILITY" => Ok(Answer::lines(&[format!("* CAPABILITY {capability}")], "OK done")),
            "LOGIN" => Ok(login(word(1) == USER && word(2) == PASSWORD, capability)),
            "AUTHENTICATE" => {
                let message = openssl::base64::decode_block(word(2)).unwrap_or_default();
                Ok(login(message == format!("\0{USER}\0{PASSWORD}").as_bytes(), capability))
            }
            "LOGOUT" => Ok(Answer::lines(&["* BYE".into()], "OK bye")),
            "NOOP" | "STARTTLS" => Ok(Answer::only("OK done")),
            "NAMESPACE" => {
                let line = format!("* NAMESPACE ((\"{}\" \"{}\")) NIL NIL", shared.prefix, self.delimiter());
                Ok(Answer::lines(&[line], "OK done"))
            }
            "ENABLE" => {
                self.qresync = true;
                Ok(Answer::lines(&["* ENABLED QRESYNC CONDSTORE".into()], "OK done"))
            }
            "LIST" => Ok(self.list(store, &command.shown.to_ascii_uppercase())),
            "STATUS" => status(store, word(1), word(2)),
            "CREATE" if store.mailboxes.contains_key(word(1)) => Err("[ALREADYEXISTS] it exists"),
            "CREATE" => {
                store.create(word(1));
                Ok(Answer::only("OK created"))
            }
            "DELETE" => store.mailboxes.remove(word(1)).map(|_| Answer::only("OK deleted")).ok_or("[NONEXISTENT] none"),
            "RENAME" => match store.mailboxes.remove(word(1)) {
                Some(mailbox) => {
                    store.mailboxes.insert(word(2).to_owned(), mailbox);
                    Ok(Answer::only("OK renamed"))
                }
                None => Err("[NONEXISTENT] none"),
            },
            "SELECT" | "EXAMINE" => self.select(store, &verb, word(1), word(2)),
            "CLOSE" | "UNSELECT" => {
                self.selected = None;
                Ok(Answer::only("OK closed"))
            }
            "APPEND" => append(store, &command.arguments),
            "EXPUNGE" => self.expunge(store, None),
            "UID" => self.uid(store, command, &words),
            _ => return Answer::only("BAD unknown command"),
        };
        done.unwrap_or_else(|refused| Answer::only(format!("NO {refused}")))
    }

    fn list(&self, store: &Store, upper: &str) -> Answer {
        let mut lines = Vec::new();
        for (name, mailbox) in &store.mailboxes {
            lines.push(format!("* LIST (\\HasNoChildren) \"{}\" {}", self.delimiter(), quoted(name)));
            if upper.contains("STATUS (") {
                lines.push(standing(name, mailbox, upper));
            }
        }
        Answer::lines(&lines, "OK listed")
    }

    fn select(&mut self, store: &mut Store, verb: &str, name: &str, parameters: &str) -> Result<Answer, Refused> {
        let before = self.selected.take();
        let Some(mailbox) = store.mailboxes.get(name) else { return Err("[NONEXISTENT] no such mailbox") };
        let mut lines = Vec::new();
        if before.is_some() && self.qresync {
            lines.push("* OK [CLOSED] closed".to_owned());
        }
        let permanent = if verb == "SELECT" { format!("{FLAGS} \\*") } else { String::new() };
        lines.push(format!("* FLAGS ({FLAGS})"));
        lines.push(format!("* OK [PERMANENTFLAGS ({permanent})] kept"));
        lines.push(format!("* {} EXISTS", mailbox.messages.len()));
        lines.push("* 0 RECENT".to_owned());
        lines.push(format!("* OK [UIDVALIDITY {}] valid", mailbox.validity));
        lines.push(format!("* OK [UIDNEXT {}] next", mailbox.next));
        if self.shared.capability.contains("CONDSTORE") {
            lines.push(format!("* OK [HIGHESTMODSEQ {}] highest", mailbox.modseq));
        }
        let mut answer =
            Answer::lines(&lines, format!("OK [READ-{}] open", if permanent.is_empty() { "ONLY" } else { "WRITE" }));
        if let Some(numbers) = parameters.strip_prefix("QRESYNC (") {
            let mut numbers = numbers.trim_end_matches(')').split(' ').map(|n| n.parse::<u64>().unwrap_or(0));
            let (validity, since) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            if validity == u64::from(mailbox.validity) {
                let gone: Vec<String> =
                    mailbox.gone.iter().filter(|(at, _)| *at > since).map(|(_, uid)| uid.to_string()).collect();
                if !gone.is_empty() {
                    answer.data.extend(format!("* VANISHED (EARLIER) {}\r\n", gone.join(",")).into_bytes());
                }
                for uid in mailbox.messages.keys() {
                    answer.data.extend(fetched(mailbox, *uid, "UID FLAGS MODSEQ", Some(since)));
                }
            }
        }
        self.selected = Some(name.to_owned());
        Ok(answer)
    }

    fn uid(&mut self, store: &mut Store, command: &Command, words: &[String]) -> Result<Answer, Refused> {
        let word = |n: usize| words.get(n).map_or("", String::as_str);
        let name = self.selected.clone().ok_or("nothing is selected")?;
        let mailbox = store.mailboxes.get_mut(&name).ok_or("the mailbox is gone")?;
        match word(1).to_ascii_uppercase().as_str() {
            "FETCH" => {
                let items = word(3).to_ascii_uppercase();
                let knows = !self.shared.capability.contains("X-IGNORES-CHANGEDSINCE");
                let since = word(4).strip_prefix("CHANGEDSINCE ").filter(|_| knows);
                let since = since.and_then(|n| n.split(' ').next()?.parse().ok());
                let uids = mailbox.named(word(2));
                let data = uids.iter().flat_map(|uid| fetched(mailbox, *uid, &items, since)).collect();
                Ok(Answer { data, last: "OK fetched".into() })
            }
            "SEARCH" => Ok(search(mailbox, command, words)),
            "STORE" => {
                let sign = word(3).chars().next().filter(|c| "+-".contains(*c));
                let flags: Vec<&str> = word(4).split_ascii_whitespace().collect();
                mailbox.named(word(2)).into_iter().for_each(|uid| mailbox.store(uid, sign, &flags));
                Ok(Answer::only("OK stored"))
            }
            "COPY" | "MOVE" => {
                let moves = word(1).eq_ignore_ascii_case("MOVE");
                let uids = mailbox.named(word(2));
                if !store.mailboxes.contains_key(word(3)) {
                    return Err("[TRYCREATE] no such mailbox");
                }
                let mut new = Vec::new();
                for uid in &uids {
                    let message = store.mailbox(&name).messages[uid].clone();
                    let flags: Vec<&str> = message.flags.iter().map(String::as_str).collect();
                    new.push(store.mailbox(word(3)).add(&message.bytes, &flags, Some(&message.date)));
                }
                let list = |uids: &[u32]| uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
                let validity = store.mailbox(word(3)).validity;
                let code = format!("OK [COPYUID {validity} {} {}] done", list(&uids), list(&new));
                if uids.is_empty() {
                    return Ok(Answer::only("OK nothing"));
                }
                if !self.shared.capability.contains("UIDPLUS") {
                    return Ok(Answer::only("OK done"));
                }
                if !moves {
                    return Ok(Answer::only(code));
                }
                let mut answer = Answer::lines(&[format!("* {code}")], "OK moved");
                answer.data.extend(self.remove(store.mailbox(&name), &uids));
                Ok(answer)
            }
            "EXPUNGE" => self.expunge(store, Some(word(2))),
            _ => Err("unknown"),
        }
    }

    fn expunge(&self, store: &mut Store, set: Option<&str>) -> Result<Answer, Refused> {
        let name = self.selected.as_ref().ok_or("nothing is selected")?;
        let mailbox = store.mailboxes.get_mut(name).ok_or("the mailbox is gone")?;
        let marked: Vec<u32> =
            mailbox.messages.iter().filter(|(_, m)| m.flags.contains("\\Deleted")).map(|(uid, _)| *uid).collect();
        let among: BTreeSet<u32> = set.map_or_else(|| marked.clone(), |set| mailbox.named(set)).into_iter().collect();
        let gone: Vec<u32> = marked.into_iter().filter(|uid| among.contains(uid)).collect();
        Ok(Answer { data: self.remove(mailbox, &gone), last: "OK expunged".into() })
    }

    fn remove(&self, mailbox: &mut Mailbox, uids: &[u32]) -> Vec<u8> {
        let mut said = String::new();
        for uid in uids {
            match self.qresync {
                true => said.push_str(&format!("* VANISHED {uid}\r\n")),
                false => said.push_str(&format!("* {} EXPUNGE\r\n", mailbox.number(*uid))),
            }
            mailbox.remove(*uid);
        }
        said.into_bytes()
    }
}

fn login(right: bool, capability: &str) -> Answer {
    match right {
        true => Answer::only(format!("OK [CAPABILITY {capability}] logged in")),
        false => Answer::only("NO [AUTHENTICATIONFAILED] wrong"),
    }
}

fn status(store: &Store, name: &str, items: &str) -> Result<Answer, Refused> {
    let mailbox = store.mailboxes.get(name).ok_or("[NONEXISTENT] no such mailbox")?;
    Ok(Answer::lines(&[standing(name, mailbox, &items.to_ascii_uppercase())], "OK done"))
}

fn standing(name: &str, mailbox: &Mailbox, items: &str) -> String {
    let (messages, next, validity) = (mailbox.messages.len(), mailbox.next, mailbox.validity);
    let modseq =
        if items.contains("HIGHESTMODSEQ") { format!(" HIGHESTMODSEQ {}", mailbox.modseq) } else { String::new() };
    format!("* STATUS {} (MESSAGES {messages} UIDNEXT {next} UIDVALIDITY {validity}{modseq})", quoted(name))
}

/// One message or several (RFC 3502): flags, a date, a literal, again and again.
fn append(store: &mut Store, arguments: &[Argument]) -> Result<Answer, Refused> {
    let name = arguments.get(1).map(Argument::text).unwrap_or_default();
    let mailbox = store.mailboxes.get_mut(&name).ok_or("[TRYCREATE] no such mailbox")?;
    let (mut flags, mut date, mut uids) = (String::new(), None, Vec::new());
    for argument in arguments.iter().skip(2) {
        match argument {
            Argument::List(list) => flags.clone_from(list),
            Argument::Text(_) => date = Some(argument.text()),
            Argument::Literal(bytes) => {
                let flags: Vec<&str> = flags.split_ascii_whitespace().collect();
                uids.push(mailbox.add(bytes, &flags, date.as_deref()).to_string());
            }
        }
    }
    Ok(Answer::only(format!("OK [APPENDUID {} {}] stored", mailbox.validity, uids.join(","))))
}

fn search(mailbox: &Mailbox, command: &Command, words: &[String]) -> Answer {
    let upper = command.shown.to_ascii_uppercase();
    let set = words.iter().position(|w| w == "UID").and_then(|_| words.last()).filter(|_| upper.contains("SEARCH UID"));
    let among = set.map(|set| mailbox.named(set));
    let found: Vec<String> = mailbox
        .messages
        .iter()
        .filter(|(_, m)| !upper.contains("DELETED") || m.flags.contains("\\Deleted"))
        .filter(|(uid, _)| among.as_ref().is_none_or(|among| among.contains(uid)))
        .map(|(uid, _)| uid.to_string())
        .collect();
    let line = match (upper.contains("RETURN (ALL)"), found.is_empty()) {
        (true, false) => format!("* ESEARCH (TAG \"{}\") UID ALL {}", command.tag, found.join(",")),
        (true, true) => format!("* ESEARCH (TAG \"{}\") UID", command.tag),
        (false, _) => format!("* SEARCH {}", found.join(" ")).trim_end().to_owned(),
    };
    Answer::lines(&[line], "OK searched")
}

/// One message's line; nothing when it has not changed since.
fn fetched(mailbox: &Mailbox, uid: u32, items: &str, since: Option<u64>) -> Vec<u8> {
    let message = &mailbox.messages[&uid];
    if since.is_some_and(|since| message.modseq <= since) {
        return Vec::new();
    }
    let mut said = format!("* {} FETCH (UID {uid}", mailbox.number(uid)).into_bytes();
    let mut add = |text: String| said.extend(text.into_bytes());
    if items.contains("FLAGS") {
        let flags: Vec<&str> = message.flags.iter().map(String::as_str).collect();
        add(format!(" FLAGS ({})", flags.join(" ")));
    }
    if items.contains("INTERNALDATE") {
        add(format!(" INTERNALDATE \"{}\"", message.date));
    }
    if items.contains("RFC822.SIZE") {
        add(format!(" RFC822.SIZE {}", message.bytes.len()));
    }
    if items.contains("MODSEQ") || since.is_some() {
        add(format!(" MODSEQ ({})", message.modseq));
    }
    if items.contains("X-GM-MSGID") {
        add(format!(" X-GM-MSGID {}", message.gmail_id()));
    }
    if let Some((_, fields)) = items.split_once("HEADER.FIELDS (") {
        let fields = fields.split(')').next().unwrap_or_default();
        let text = String::from_utf8_lossy(&message.bytes).into_owned();
        let wanted = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default().to_ascii_uppercase();
            fields.split(' ').any(|field| field == name)
        };
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let mut header: String = head.split("\r\n").filter(wanted).map(|line| format!("{line}\r\n")).collect();
        header.push_str("\r\n");
        add(format!(" BODY[HEADER.FIELDS ({fields})] {{{}}}\r\n{header}", header.len()));
    }
    if items.contains("BODY.PEEK[]") {
        add(format!(" BODY[] {{{}}}\r\n", message.bytes.len()));
        said.extend_from_slice(&message.bytes);
    }
    said.extend_from_slice(b")\r\n");
    said
}
