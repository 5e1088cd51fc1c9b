//! Standard output and standard error as one console: whole lines, no tearing of bars, no failure.
//!
//! A line reaches its stream in one write, while the bars are lifted. A reader that went away is silently accepted;
//! any other trouble with a stream is told once on the other one, because there is nobody else to tell, and by the exit
//! code.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::progress::Bars;

/// Whether something could not be written to standard output.
static LOST: AtomicBool = AtomicBool::new(false);

/// Whether something that this process had to say could not be written to standard output, and not since its reader went
/// away.
pub fn output_was_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// What the terminal, if it is one, can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terminal {
    /// Whether standard error is a terminal: somebody watches.
    pub watched: bool,
    /// Whether standard output may carry colour.
    pub colour_out: bool,
    /// Whether standard error may carry colour.
    pub colour_err: bool,
}

/// The few colours in use, and what they stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// A heading.
    Heading,
    /// As it should be.
    Good,
    /// Worth a look.
    Note,
    /// Needs a person.
    Bad,
}

impl Tone {
    /// `text` in this tone when `colour` is on.
    pub fn paint(self, colour: bool, text: &str) -> String {
        let code = match self {
            Tone::Heading => "1",
            Tone::Good => "32",
            Tone::Note => "33",
            Tone::Bad => "31",
        };
        if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

struct Streams<O, E> {
    out: O,
    err: E,
    told: bool,
}

/// Two streams and the bars above which they write.
pub struct Console<O, E> {
    streams: Mutex<Streams<O, E>>,
    /// What the terminal can take.
    pub terminal: Terminal,
    /// The bars; hidden when nobody watches.
    pub bars: Bars,
}

impl Console<io::Stdout, io::Stderr> {
    /// This process's streams; `bars` are drawn only when standard error is a terminal.
    pub fn standard(bars: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        let (out, err) = (io::stdout(), io::stderr());
        let watched = err.is_terminal();
        let terminal = Terminal { watched, colour_out: out.is_terminal() && !plain, colour_err: watched && !plain };
        let bars = if bars && watched { Bars::on_terminal() } else { Bars::hidden() };
        Console::new(out, err, terminal, bars)
    }
}

impl<O: Write, E: Write> Console<O, E> {
    /// A console on any two streams.
    pub fn new(out: O, err: E, terminal: Terminal, bars: Bars) -> Self {
        Console { streams: Mutex::new(Streams { out, err, told: false }), terminal, bars }
    }

    /// Writes a line of data: to standard output.
    pub fn data(&self, line: &str) {
        self.raw(format!("{line}\n").as_bytes());
    }

    /// Writes bytes as they are to standard output: what the program itself made, such as the man page.
    pub fn raw(&self, bytes: &[u8]) {
        self.bars.lifted(|| {
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(e) = put(&mut streams.out, bytes)
                && e.kind() != ErrorKind::BrokenPipe
                && !streams.told
            {
                streams.told = true;
                LOST.store(true, Ordering::Relaxed);
                // Nobody is left to tell when this fails too.
                let _ = put(&mut streams.err, format!("mailtide: Standard output cannot be written: {e}\n").as_bytes());
            }
        });
    }

    /// Writes a line that is no data: to standard error.
    pub fn note(&self, line: &str) {
        self.bars.lifted(|| {
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody is left to tell when this fails.
            let _ = put(&mut streams.err, format!("{line}\n").as_bytes());
        });
    }

    /// What was written, in tests.
    #[cfg(test)]
    pub fn into_streams(self) -> (O, E) {
        let streams = self.streams.into_inner().unwrap();
        (streams.out, streams.err)
    }
}

fn put(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream whose every write fails.
    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let console = Console::new(Broken(ErrorKind::BrokenPipe), Vec::new(), Terminal::default(), Bars::hidden());
        console.data("one");
        console.note("two");
        assert_eq!(console.into_streams().1, b"two\n");
    }

    #[test]
    fn a_full_disk_behind_standard_output_is_told_once() {
        let console = Console::new(Broken(ErrorKind::StorageFull), Vec::new(), Terminal::default(), Bars::hidden());
        console.data("one");
        console.data("two");
        let told = String::from_utf8(console.into_streams().1).unwrap();
        assert_eq!(told, "mailtide: Standard output cannot be written: no storage space\n");
    }

    #[test]
    fn colour_is_only_added_where_it_is_wanted() {
        assert_eq!(Tone::Bad.paint(false, "x"), "x");
        assert_eq!(Tone::Bad.paint(true, "x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
