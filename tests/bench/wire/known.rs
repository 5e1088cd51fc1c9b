//! An account of many known messages, without the hours of a first sync: links in the state and files in the tree, as
//! a run would have left them that was killed before its checkpoints. The next run looks at everything, finds it in
//! agreement and records the checkpoints; from then on the account is as any other.
//!
//! The server's half is made by `tests/bench/server.py`: UIDs 1 to n, `\Seen`, sizes as here. All files are hard links
//! to a few, since nobody opens a known message.

use std::fs;
use std::path::Path;

use mailtide::mail::{
    BaseMailbox, Digest, Fact, FileId, Flags, Link, MailboxName, MessageIdHash, Presence, Uid, UnixSeconds,
};
use mailtide::state::State;

use super::Result;

const ACCOUNT: &str = "bench";
const TEXT: &[u8] = b"From: ann@example.org\nSubject: known\n\nKnown.\n";
/// ext4 allows 65,000 names a file.
const NAMES_A_FILE: u64 = 60_000;

pub fn run(dir: &str, tree: &str, messages: u64) -> Result<()> {
    let mut state = State::open(Path::new(dir), ACCOUNT)?.ok_or("there is no state: sync the empty account first")?;
    let base = state.base(&|_| true)?;
    let each = messages / base.len().max(1) as u64;
    let mut made = 0;
    for (name, mailbox) in &base {
        let facts = fill(state.account_id(), Path::new(tree), name, mailbox, each, &mut made)?;
        state.record(&facts)?;
    }
    Ok(())
}

/// Makes the files of one mailbox and returns what the state has to know of them.
fn fill(
    account: mailtide::mail::AccountId,
    tree: &Path,
    name: &MailboxName,
    mailbox: &BaseMailbox,
    messages: u64,
    made: &mut u64,
) -> Result<Vec<Fact>> {
    let checkpoint = mailbox.remote.as_ref().ok_or("a mailbox was never synchronised")?;
    let wire = TEXT.len() as u64 + TEXT.iter().filter(|b| **b == b'\n').count() as u64;
    let mut flags = Flags::none();
    flags.insert_imap("\\Seen");
    let cur = tree.join(name.path()).join("cur");
    let mut facts = Vec::new();
    for uid in (1..=u32::try_from(messages)?).filter_map(Uid::new) {
        // Names as the program's own store gives them.
        let (id, validity) = (mailbox.id, checkpoint.uid_validity);
        let sizes = format!("S={},W={wire}", TEXT.len());
        let unique = format!("1600000000.{account}-{id}-{validity}-{uid}.mailtide,{sizes}");
        let seed = tree.join(format!(".seed-{}", *made / NAMES_A_FILE));
        if made.is_multiple_of(NAMES_A_FILE) {
            fs::write(&seed, TEXT)?;
        }
        *made += 1;
        fs::hard_link(&seed, cur.join(format!("{unique}:2,S")))?;
        let digest = blake3::hash(unique.as_bytes());
        facts.push(Fact::Linked(
            id,
            Link {
                uid,
                file: FileId::new(unique),
                presence: Presence::Both,
                flags: flags.clone(),
                size: wire,
                digest: Digest(*digest.as_bytes()),
                message_id: Some(MessageIdHash(*made)),
                internal_date: UnixSeconds(1_600_000_000),
                email_id: None,
            },
        ));
    }
    Ok(facts)
}
