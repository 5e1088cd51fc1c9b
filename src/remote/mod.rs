//! The server's side: byte streams ([`net`]), and on top of them the IMAP engine ([`imap`]) and the POP3 client
//! ([`pop3`]).
//!
//! Nothing here knows the local tree, the state or the planner: octets and protocol in, mail's vocabulary out. What
//! comes from a server is bounded before memory is taken, and every wait has a timeout and asks
//! [`Stop`](crate::stop::Stop).

pub mod imap;
pub mod net;
pub mod pop3;

pub use imap::open::ImapOptions;
pub use net::options::{ServerOptions, TlsMode};
pub use net::trust::{ClientCertificate, Pin, Trust};
pub use pop3::Pop3Options;
