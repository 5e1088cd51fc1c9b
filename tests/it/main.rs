//! The proof, as one binary. Run it by `tests/run`, which installs the servers it needs.
//!
//! | file | what it shows |
//! | --- | --- |
//! | `world/` | real servers, a scripted one, a proxy, other clients on both sides: nothing of mailtide's own |
//! | `faults/` | a fault at every step of the real program against a real server (feature `faults`): the next run ends the same |
//! | `sim/` | a simulated world, random edits and crashes, and histories of weeks: the planner keeps its promises |
//! | `hostile/` | named behaviours of hostile and broken servers, each with its source: nothing lost, doubled or let out |
//! | `harness` | the world itself tells the truth |
//! | `rounds` | random edits on both sides, against each real server: equal, and then nothing left to do |
//! | `kill` | `kill -9` at ten moments of a first sync and of a push; Ctrl-C |
//! | `many` | a hundred accounts in one run, more mailboxes than open files |
//! | `memory` | 10,000 messages and one of 100 MB in 32 MB of memory |
//! | `guard` | emptied, unmounted, lost, closed trees and emptied servers delete nothing |
//! | `bad_config` | what is wrong on this machine alone: config, secrets, arguments; its message, its exit code |
//! | `bad_input` | each kind of bad input, with its message and exit code |
//! | `connection` | TLS, STARTTLS, client certificates, compression, slow, cut and stalled lines |
//! | `imap_engine` | the IMAP engine alone: every tier sees the same, every operation works, round trips are counted |
//! | `pop3_engine` | the POP3 client alone: real servers, and a scripted one that is hostile, cut and stalled |
//! | `pop` | a maildrop into the tree: keep, limits, several accounts, lost state, `pop --list` |
//! | `pop_before` | what another program fetched before the first run: its lists, good and bad |
//! | `pop_trouble` | what other POP3 clients lose or double, row by row; kill, EOF and stall anywhere |
//! | `pop_doubt` | messages at which sessions break, or that are not what is listed: they stop no other and are not deleted |
//! | `power/` | the order of writes, flushes, renames, commits and commands, from a trace of the system calls |
//! | `damage` | the state damaged in sixty ways, newer, closed, on a disk that is full, fills or is closed; the clock set back |
//! | `shown` | names, files and unique ids that a terminal would act on: escaped by every command, in text and NDJSON |
//! | `secrets` | the password in no output and no file, at any verbosity; modes of what is kept |
//! | `bytes` | bytes, dates, copies, keywords |
//! | `ugly` | a corpus of ugly mail up, down, moved and over POP3: every octet |
//! | `folders` | mailboxes made, removed, filtered, renamed; odd names; prefixes |
//! | `moves` | moves, copies, renames, new UIDs, lost state: no body on the wire |
//! | `adoption` | trees that mbsync and OfflineIMAP filled: linked, not doubled |
//! | `identity` | new UIDs, lost and old states and trees over 5,000 messages; 2,000 that are alike |
//! | `renames` | mailboxes that pass their names on or round, take that of a removed one, or INBOX's mail |
//! | `outside` | moves into mailboxes that take no part |
//! | `mended` | a backup put back over a live tree, one unique part twice, letters out of another mailbox |
//! | `changed` | another server, another list of mailboxes, a server put back, an older tree never quite in order |
//! | `conflicts` | moves and renames on one side while the other does something else |
//! | `between` | moves on the server between two looks of one run |
//! | `moves_killed` | `kill -9` in the midst of moves and renames |
//! | `policies` | expunge, trash, mark, never; push; limits |
//! | `reports` | the dry run is the real run; NDJSON; silence; status, mailboxes, check, help |
//! | `check` | what `check` says of a tree is what a run makes of it |
//! | `import` | other tools' configurations become one of ours; trees they have filled are taken as they are |
//! | `man` | the manual pages are in step |
//! | `architecture` | the tree is what `src/lib.rs` draws |
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

mod adoption;
mod architecture;
mod bad_config;
mod bad_input;
mod between;
mod bytes;
mod changed;
mod check;
mod conflicts;
mod connection;
mod damage;
mod faults;
mod folders;
mod guard;
mod harness;
mod hostile;
mod identity;
mod imap_engine;
mod import;
mod kill;
mod man;
mod many;
mod memory;
mod mended;
mod moves;
mod moves_killed;
mod outside;
mod policies;
mod pop;
mod pop3_engine;
mod pop_before;
mod pop_doubt;
mod pop_trouble;
mod power;
mod renames;
mod reports;
mod rounds;
mod secrets;
mod shown;
mod sim;
mod ugly;
mod world;
