//! The world the tests run in: real servers, a scripted one, a proxy between, other clients on both sides.
//!
//! Everything is started by the test that needs it, in its own temporary directory, on loopback ports of its own, and
//! ends with it. Nothing here uses mailtide's own modules: what the program claims is checked by other means.

pub mod canary;
pub mod certs;
pub mod client;
pub mod compare;
pub mod cyrus;
pub mod dovecot;
pub mod expect;
pub mod mail;
pub mod maildir;
pub mod maildrop;
pub mod moment;
pub mod names;
pub mod pair;
pub mod peers;
pub mod post;
pub mod process;
pub mod proxy;
pub mod random;
pub mod scratch;
pub mod scripted;
pub mod server;
pub mod small;
pub mod terminal;
pub mod wire_log;
