//! The loop against servers that write first, read late, stay silent, hang up, compress or encrypt.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::error::Retry;
use crate::remote::net::options::TlsMode;
use crate::remote::net::testing::{Authority, Server, accept, acceptor};

fn connect(options: &ServerOptions, meter: &Meter) -> Transport {
    Transport::connect(options, meter, &Stop::default()).unwrap()
}

fn stress(octets: usize, seed: u64) -> Vec<u8> {
    // Half noise, half nothing, so that deflate has both.
    let mut noise = fastrand::Rng::with_seed(seed);
    (0..octets).map(|n| if n / 10_000 % 2 == 0 { noise.u8(..) } else { b' ' }).collect()
}

const MUCH: usize = 10_000_000;

/// Writes everything before it reads anything.
fn write_first(mut peer: impl Read + Write) {
    peer.write_all(&stress(MUCH, 1)).unwrap();
    peer.flush().unwrap();
    let mut all = vec![0; MUCH];
    peer.read_exact(&mut all).unwrap();
    assert!(all == stress(MUCH, 2));
    peer.write_all(b"heard").unwrap();
    peer.flush().unwrap();
}

fn both_ways(transport: &mut Transport) {
    let (mut output, mut input, mut all) = (OutBuffer::new(), Vec::new(), Vec::new());
    output.push(&stress(MUCH, 2));
    while all.len() < MUCH + 5 {
        transport.exchange(&mut output, &mut input, Until::InputArrives).unwrap();
        assert!(!input.is_empty() && input.len() <= BURST + PIECE, "{}", input.len());
        all.append(&mut input);
    }
    assert!(output.is_empty());
    assert!(all.ends_with(b"heard") && all[..MUCH] == stress(MUCH, 1));
}

#[test]
fn both_sides_write_ten_megabytes_before_reading() {
    let server = Server::start(|_, connection| write_first(connection));
    let meter = Meter::default();
    both_ways(&mut connect(&server.options(TlsMode::None), &meter));
    assert_eq!((meter.sent(), meter.received()), (MUCH as u64, MUCH as u64 + 5));
}

#[test]
fn both_sides_write_ten_megabytes_before_reading_inside_tls() {
    let authority = Authority::new();
    let tls = acceptor(&authority.good()).build();
    let server = Server::start(move |_, connection| {
        if let Some(peer) = accept(&tls, connection) {
            write_first(peer.into_inner());
        }
    });
    let mut transport = connect(&server.options(TlsMode::Implicit), &Meter::default());
    transport.start_tls(&Connector::new(&authority.trust()).unwrap(), "localhost").unwrap();
    both_ways(&mut transport);
}

/// The other side of RFC 4978, by flate2's own streams.
struct Deflated(flate2::read::DeflateDecoder<TcpStream>, flate2::write::DeflateEncoder<TcpStream>);

impl Deflated {
    fn new(connection: TcpStream) -> Deflated {
        let back = connection.try_clone().unwrap();
        Deflated(
            flate2::read::DeflateDecoder::new(connection),
            flate2::write::DeflateEncoder::new(back, flate2::Compression::default()),
        )
    }
}

impl Read for Deflated {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Deflated {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.1.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}

#[test]
fn both_sides_write_ten_megabytes_before_reading_compressed() {
    let server = Server::start(|_, connection| write_first(Deflated::new(connection)));
    let meter = Meter::default();
    let mut transport = connect(&server.options(TlsMode::None), &meter);
    transport.start_deflate(Vec::new()).unwrap();
    both_ways(&mut transport);
    assert!(meter.sent() < MUCH as u64 * 6 / 10 && meter.received() < MUCH as u64 * 6 / 10);
}

#[test]
fn what_came_before_the_layer_started_is_its_first_input() {
    let server = Server::start(|_, mut connection| {
        let mut line = [0; 8];
        connection.read_exact(&mut line).unwrap();
        connection.write_all(b"OK\r\n").unwrap();
        let mut peer = Deflated::new(connection);
        peer.write_all(b"* first\r\n").unwrap();
        peer.flush().unwrap();
        let mut line = [0; 6];
        peer.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"NOOP\r\n");
        peer.write_all(b"* second\r\n").unwrap();
        peer.flush().unwrap();
    });
    let mut transport = connect(&server.options(TlsMode::None), &Meter::default());
    let (mut output, mut input) = (OutBuffer::new(), Vec::new());
    output.push(b"DEFLATE\n");
    while input.len() <= 4 {
        transport.exchange(&mut output, &mut input, Until::InputArrives).unwrap();
    }
    transport.start_deflate(input.split_off(4)).unwrap();
    assert!(transport.start_deflate(Vec::new()).is_err());
    input.clear();
    output.push(b"NOOP\r\n");
    while input.len() < b"* first\r\n* second\r\n".len() {
        transport.exchange(&mut output, &mut input, Until::InputArrives).unwrap();
    }
    assert_eq!(input, b"* first\r\n* second\r\n");
}

#[test]
fn room_for_output_comes_with_the_input_that_came_meanwhile() {
    let server = Server::start(|_, mut connection| {
        connection.write_all(&stress(1_000_000, 3)).unwrap();
        let mut all = Vec::new();
        connection.read_to_end(&mut all).unwrap();
        assert!(all == stress(8_000_000, 4));
    });
    let mut transport = connect(&server.options(TlsMode::None), &Meter::default());
    let (mut output, mut input) = (OutBuffer::new(), Vec::new());
    output.push(&stress(8_000_000, 4));
    transport.exchange(&mut output, &mut input, Until::OutputBelow(1000)).unwrap();
    assert!(output.len() <= 1000);
    transport.exchange(&mut output, &mut input, Until::OutputBelow(0)).unwrap();
    assert!(output.is_empty());
    while input.len() < 1_000_000 {
        transport.exchange(&mut output, &mut input, Until::InputArrives).unwrap();
    }
    assert!(input == stress(1_000_000, 3));
}

#[test]
fn a_server_that_only_talks_is_stopped_at_four_megabytes() {
    let server = Server::start(|_, mut connection| while connection.write_all(&[b'x'; 100_000]).is_ok() {});
    let mut transport = connect(&server.options(TlsMode::None), &Meter::default());
    let (mut output, mut input) = (OutBuffer::new(), Vec::new());
    output.push(&vec![b'y'; 30_000_000]);
    let error = transport.exchange(&mut output, &mut input, Until::OutputBelow(0)).unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol);
    assert!(input.len() <= UNASKED + BURST + PIECE);
}

#[test]
fn a_wait_is_counted_once_a_question() {
    let server = Server::start(|_, mut connection| {
        for answer in [&b"one"[..], b"two"] {
            let mut ask = [0; 3];
            connection.read_exact(&mut ask).unwrap();
            // Long enough that the client waits, whatever else the machine does.
            std::thread::sleep(Duration::from_millis(200));
            connection.write_all(answer).unwrap();
        }
    });
    let meter = Meter::default();
    let mut transport = connect(&server.options(TlsMode::None), &meter);
    let (mut output, mut input) = (OutBuffer::new(), Vec::new());
    for n in 1..=2 {
        output.push(b"ask");
        transport.exchange(&mut output, &mut input, Until::InputArrives).unwrap();
        assert_eq!(meter.waits(), n);
    }
    assert_eq!((input.as_slice(), meter.sent(), meter.received()), (&b"onetwo"[..], 6, 6));
}

#[test]
fn what_was_said_before_hanging_up_is_heard_first() {
    let server = Server::start(|_, mut connection| connection.write_all(b"* BYE\r\n").unwrap());
    let mut transport = connect(&server.options(TlsMode::None), &Meter::default());
    let (mut output, mut input) = (OutBuffer::new(), Vec::new());
    transport.exchange(&mut output, &mut input, Until::InputArrives).unwrap();
    assert_eq!(input, b"* BYE\r\n");
    let error = transport.exchange(&mut output, &mut input, Until::InputArrives).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::Unreachable, Retry::Worthwhile));
    assert_eq!(error.to_string(), format!("localhost:{}: The connection was closed by the server", server.port));
}

#[test]
fn writing_to_a_server_that_is_gone_is_an_error() {
    let server = Server::start(|_, _| {});
    let mut transport = connect(&server.options(TlsMode::None), &Meter::default());
    let (mut output, mut input) = (OutBuffer::new(), Vec::new());
    output.push(&vec![0; 20_000_000]);
    let error = transport.exchange(&mut output, &mut input, Until::OutputBelow(0)).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::Unreachable, Retry::Worthwhile));
}

#[test]
fn silence_ends_after_the_timeout() {
    let server = Server::start(|_, mut connection| {
        let _ = connection.read(&mut [0; 1]);
    });
    let mut options = server.options(TlsMode::None);
    options.timeout = Duration::from_millis(300);
    let mut transport = connect(&options, &Meter::default());
    let start = Instant::now();
    let error = transport.exchange(&mut OutBuffer::new(), &mut Vec::new(), Until::InputArrives).unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!((error.kind(), error.retry()), (Kind::Unreachable, Retry::Worthwhile));
    assert_eq!(error.what(), "The server was silent for 300 ms");
}

#[test]
fn a_slow_server_is_not_a_silent_one() {
    let server = Server::start(|_, mut connection| {
        connection.set_nodelay(true).unwrap();
        let mut ask = [0; 1];
        for _ in 0..10 {
            connection.read_exact(&mut ask).unwrap();
            std::thread::sleep(Duration::from_millis(100));
            connection.write_all(b".").unwrap();
        }
    });
    let mut options = server.options(TlsMode::None);
    options.timeout = Duration::from_millis(800);
    let mut transport = connect(&options, &Meter::default());
    let (mut output, mut input) = (OutBuffer::new(), Vec::new());
    output.push(b"xxxxxxxxxx");
    while input.len() < 10 {
        transport.exchange(&mut output, &mut input, Until::InputArrives).unwrap();
    }
}

#[test]
fn an_octet_now_and_then_is_not_waited_for_without_end() {
    let server = Server::start(|_, mut connection| {
        connection.set_nodelay(true).unwrap();
        while connection.write_all(b".").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let mut options = server.options(TlsMode::None);
    options.timeout = Duration::from_millis(300);
    let mut transport = connect(&options, &Meter::default());
    let (mut output, mut input) = (OutBuffer::new(), Vec::new());
    let error = loop {
        if let Err(error) = transport.exchange(&mut output, &mut input, Until::InputArrives) {
            break error;
        }
    };
    assert!(error.what().ends_with(" octets in 3 s of waiting"), "{error}");
    assert_eq!((error.kind(), error.retry()), (Kind::Unreachable, Retry::Pointless));
}

#[test]
fn a_wish_to_stop_ends_a_wait() {
    let server = Server::start(|_, mut connection| {
        let _ = connection.read(&mut [0; 1]);
    });
    let signalled = Arc::new(AtomicBool::new(false));
    let stop = Stop::new(signalled.clone(), None);
    let mut transport = Transport::connect(&server.options(TlsMode::None), &Meter::default(), &stop).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            signalled.store(true, Ordering::SeqCst);
        });
        let error = transport.exchange(&mut OutBuffer::new(), &mut Vec::new(), Until::InputArrives).unwrap_err();
        assert_eq!(error.kind(), Kind::Interrupted);
    });
    drop(transport);
    let stop = Stop::new(Arc::default(), Some(Duration::from_millis(100)));
    let mut transport = Transport::connect(&server.options(TlsMode::None), &Meter::default(), &stop).unwrap();
    let error = transport.exchange(&mut OutBuffer::new(), &mut Vec::new(), Until::InputArrives).unwrap_err();
    assert_eq!(error.what(), "The deadline has passed");
}

#[test]
fn a_port_where_nobody_listens_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server::start(|_, _| {});
    let mut options = server.options(TlsMode::Implicit);
    (options.port, options.host) = (port, "127.0.0.1".into());
    let error = Transport::connect(&options, &Meter::default(), &Stop::default()).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::Unreachable, Retry::Worthwhile));
    assert_eq!(
        error.to_string(),
        format!("127.0.0.1:{port}: The connection to 127.0.0.1:{port} was refused: Connection refused (os error 111)")
    );
    assert!(error.hint_text().unwrap().contains("usually 993"));
}

#[test]
fn an_unknown_host_is_named() {
    let server = Server::start(|_, _| {});
    let mut options = server.options(TlsMode::Implicit);
    // A label of 70 letters: no resolver asks anybody for it.
    options.host = format!("{}.example", "x".repeat(70));
    let error = Transport::connect(&options, &Meter::default(), &Stop::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.what().ends_with("is unknown"), "{error}");
    assert!(error.hint_text().unwrap().contains("getent hosts"));
}

#[test]
fn a_server_that_never_answers_the_connection_times_out() {
    // A full backlog: the kernel drops further SYNs, as a firewall would.
    let listener =
        rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&listener, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let port = TcpListener::from(listener.try_clone().unwrap()).local_addr().unwrap().port();
    let server = Server::start(|_, _| {});
    let mut options = server.options(TlsMode::None);
    (options.port, options.host, options.timeout) = (port, "127.0.0.1".into(), Duration::from_millis(300));
    let mut held = Vec::new();
    let error = loop {
        assert!(held.len() < 20, "the backlog never fills");
        match Transport::connect(&options, &Meter::default(), &Stop::default()) {
            Ok(transport) => held.push(transport),
            Err(error) => break error,
        }
    };
    assert_eq!(error.what(), "No answer to the connection within 300 ms");
    assert_eq!((error.kind(), error.retry()), (Kind::Unreachable, Retry::Worthwhile));
}
