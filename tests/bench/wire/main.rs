//! The ends of the wire that the bench brings along: `line`, which stands between a client and the server, delays,
//! limits and counts; `floor`, a client that says the commands it is given and nothing else; and `known`, which makes an
//! account of a million known messages.
//!
//! ```text
//! wire line PORT                    a line to 127.0.0.1:PORT; prints its own port, then obeys its input, see `line`
//! wire floor PORT CA SCRIPT [DIR]   what SCRIPT says, to 127.0.0.1:PORT over TLS; bodies to nowhere or into DIR
//! wire known STATE TREE MESSAGES    links and files for every mailbox that the state in STATE knows
//! ```
//!
//! It is an example and no test: built in release by `tests/bench/run`, and no part of the program.

mod floor;
mod known;
mod line;

use std::error::Error;
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match *arguments.as_slice() {
        ["line", port] => number(port).and_then(line::run),
        ["floor", port, ca, script] => number(port).and_then(|port| floor::run(port, ca, script, None)),
        ["floor", port, ca, script, dir] => number(port).and_then(|port| floor::run(port, ca, script, Some(dir))),
        ["known", state, tree, messages] => number(messages).and_then(|messages| known::run(state, tree, messages)),
        _ => Err("see the head of tests/bench/wire/main.rs".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N> {
    text.parse().map_err(|_| format!("`{text}` is no number").into())
}

/// Says something to whoever watches.
fn log(text: &str) {
    use std::io::Write;
    // Nobody is there to hear of a closed stderr.
    let _ = writeln!(std::io::stderr(), "wire: {text}");
}
