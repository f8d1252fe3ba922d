//! The header of the PROXY protocol, versions 1 and 2, which says whom a proxy speaks for.
//!
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How far the header has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "it goes on, or it is over")]
pub enum Progress {
    /// At least so many bytes are missing, none of which is beyond the header.
    More(usize),
    /// It is whole.
    Done(Origin),
}

/// Where a connection comes from, as a header says it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// From the proxy itself, which checks health or the like (`LOCAL`), or from somewhere that has no such address
    /// (`UNKNOWN`, `UNSPEC`, `UNIX`, UDP): the proxy's own address is all there is.
    Proxy,
    /// From this address.
    Client(SocketAddr),
}

/// What came is no header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Malformed;

/// Reads what has come of a header so far. Whoever reads no more than [`Progress::More`] says never has a byte too many.
///
/// # Errors
///
/// When it is none, or larger than 107 bytes (version 1) or 4 KiB (version 2).
pub fn read_header(bytes: &[u8]) -> Result<Progress, Malformed> {
    let first = bytes.len().min(V2.len());
    if bytes.get(..first) == V2.get(..first) && !bytes.is_empty() {
        return version_2(bytes);
    }
    if bytes.starts_with(V1) || V1.starts_with(bytes) {
        return version_1(bytes);
    }
    Err(Malformed)
}

fn version_1(bytes: &[u8]) -> Result<Progress, Malformed> {
    if let Some(line) = bytes.strip_suffix(b"\r\n") {
        let line = std::str::from_utf8(line).map_err(|_| Malformed)?;
        return line_of_text(line).map(Progress::Done);
    }
    let missing = match bytes {
        [.., b'\r'] => 1,
        _ => V1_SHORTEST.saturating_sub(bytes.len()).max(2),
    };
    let inner = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let broken = inner.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
    if broken || bytes.len() + missing > V1_LONGEST {
        return Err(Malformed);
    }
    Ok(Progress::More(missing))
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443`: client and server, then their ports.
fn line_of_text(line: &str) -> Result<Origin, Malformed> {
    let mut words = line.split(' ');
    let family = words.nth(1).ok_or(Malformed)?;
    if family == "UNKNOWN" {
        return Ok(Origin::Proxy); // whatever else is there
    }
    let mut address = || -> Result<IpAddr, Malformed> {
        let word = words.next().ok_or(Malformed)?;
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| Malformed),
            "TCP6" => word.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| Malformed),
            _ => Err(Malformed),
        }
    };
    let (client, _) = (address()?, address()?);
    let mut port = || -> Result<u16, Malformed> {
        let word = words.next().ok_or(Malformed)?;
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        let plain = digits && (word == "0" || !word.starts_with('0'));
        word.parse().ok().filter(|_| plain).ok_or(Malformed)
    };
    let (port, _) = (port()?, port()?);
    match words.next() {
        None => Ok(client_at(client, port)),
        Some(_) => Err(Malformed),
    }
}

fn version_2(bytes: &[u8]) -> Result<Progress, Malformed> {
    let Some((head, rest)) = bytes.split_at_checked(V2_HEAD) else {
        return Ok(Progress::More(V2_HEAD - bytes.len()));
    };
    let &[.., command, family, high, low] = head else { return Err(Malformed) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if V2_HEAD + length > V2_LONGEST {
        return Err(Malformed);
    }
    let known = match command {
        0x20 => false, // LOCAL
        0x21 => true,  // PROXY
        _ => return Err(Malformed),
    };
    // What comes after the addresses says more of the connection than is asked here.
    let addresses = match family {
        0x11 => 12,
        0x21 => 36,
        0x12 | 0x22 | 0x31 | 0x32 | 0x00 => 0,
        _ => return Err(Malformed),
    };
    if known && length < addresses {
        return Err(Malformed);
    }
    match length.checked_sub(rest.len()) {
        Some(0) => {}
        Some(missing) => return Ok(Progress::More(missing)),
        None => return Err(Malformed),
    }
    Ok(Progress::Done(match (known, family) {
        (true, 0x11) => addresses_of::<4>(rest).ok_or(Malformed)?,
        (true, 0x21) => addresses_of::<16>(rest).ok_or(Malformed)?,
        _ => Origin::Proxy,
    }))
}

/// The first of two addresses, and the first of the two ports behind them.
fn addresses_of<const N: usize>(bytes: &[u8]) -> Option<Origin>
where
    IpAddr: From<[u8; N]>,
{
    let (client, rest) = bytes.split_first_chunk::<N>()?;
    let (_, ports) = rest.split_first_chunk::<N>()?;
    let (port, _) = ports.split_first_chunk::<2>()?;
    Some(client_at(IpAddr::from(*client), u16::from_be_bytes(*port)))
}

const fn client_at(address: IpAddr, port: u16) -> Origin {
    Origin::Client(SocketAddr::new(address.to_canonical(), port))
}

const V1: &[u8] = b"PROXY ";

/// `PROXY UNKNOWN` and its line break.
const V1_SHORTEST: usize = 15;

/// What the document allows.
const V1_LONGEST: usize = 107;

/// No request of HTTP and no handshake of TLS begins like this.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, command, family and length.
const V2_HEAD: usize = 16;

/// Far more than balancers have to say.
const V2_LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads as a connection is read; what came of it, and how many bytes were taken.
    fn feed(bytes: &[u8]) -> (Option<Result<Origin, Malformed>>, usize) {
        let mut taken = 0;
        loop {
            match read_header(&bytes[..taken]) {
                Ok(Progress::Done(origin)) => return (Some(Ok(origin)), taken),
                Err(malformed) => return (Some(Err(malformed)), taken),
                Ok(Progress::More(missing)) => {
                    assert!(missing > 0);
                    taken += missing;
                    assert!(taken <= V2_LONGEST, "{taken}");
                    if taken > bytes.len() {
                        return (None, bytes.len());
                    }
                }
            }
        }
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [V2, &[command, family], &length, rest].concat()
    }

    fn client(address: &str) -> Origin {
        Origin::Client(address.parse().unwrap())
    }

    #[test]
    fn a_line_of_text_says_who_the_client_is() {
        for (line, expected) in [
            ("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443", client("192.0.2.1:56324")),
            ("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535", client("[2001:db8::1]:0")),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2", client("192.0.2.1:1")),
            ("PROXY UNKNOWN", Origin::Proxy),
            ("PROXY UNKNOWN ffff::1 ffff::2 1 2", Origin::Proxy),
        ] {
            let bytes = format!("{line}\r\nGET / HTTP/1.1\r\n\r\n");

            let expected = (Some(Ok(expected)), line.len() + 2);
            assert_eq!(feed(bytes.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_line_of_the_protocol_is_refused() {
        let long = format!("PROXY UNKNOWN {}", "a".repeat(100));
        for line in [
            "GET / HTTP/1.1",
            "PROXY",
            "PROXY ",
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324",
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443 ",
            "PROXY TCP4  192.0.2.1 192.0.2.2 56324 443",
            "PROXY TCP4 192.0.2.1 192.0.2.2 65536 443",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 443",
            "PROXY TCP4 192.0.2.1 192.0.2.2 01 443",
            "PROXY TCP4 2001:db8::1 2001:db8::2 1 2",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2",
            "PROXY TCP5 192.0.2.1 192.0.2.2 1 2",
            "PROXY TCP4 192.0.2.1\n192.0.2.2 1 2",
            "proxy TCP4 192.0.2.1 192.0.2.2 1 2",
            &long,
        ] {
            let bytes = format!("{line}\r\nGET / HTTP/1.1\r\n\r\n");

            assert_eq!(feed(bytes.as_bytes()).0, Some(Err(Malformed)), "{line}");
        }
    }

    #[test]
    fn bytes_say_who_the_client_is_and_what_comes_after_is_passed_over() {
        let v4 = [192, 0, 2, 1, 192, 0, 2, 2, 0xdc, 0x04, 1, 187];
        let mut v6 = [0; 36];
        v6[..2].copy_from_slice(&[0x20, 0x01]);
        v6[33] = 9;
        let more = [&v4[..], &[0x02, 0, 3, b'a', b'b', b'c'], &[0xff; 1000]].concat();
        for (command, family, rest, expected) in [
            (0x21, 0x11, &v4[..], client("192.0.2.1:56324")),
            (0x21, 0x21, &v6[..], client("[2001::]:9")),
            (0x21, 0x11, &more[..], client("192.0.2.1:56324")),
            (0x20, 0x11, &v4[..], Origin::Proxy),
            (0x20, 0x00, &[], Origin::Proxy),
            (0x21, 0x00, &[1, 2, 3], Origin::Proxy),
            (0x21, 0x12, &v4[..], Origin::Proxy),
            (0x21, 0x31, &[0; 216], Origin::Proxy),
        ] {
            let header = v2(command, family, rest);
            let bytes = [&header[..], b"GET / HTTP/1.1"].concat();

            assert_eq!(feed(&bytes), (Some(Ok(expected)), header.len()), "{command:x} {family:x}");
        }
    }

    #[test]
    fn bytes_that_contradict_themselves_are_refused() {
        for (command, family, rest) in [
            (0x21, 0x11, &[0; 11][..]),
            (0x21, 0x21, &[0; 35]),
            (0x11, 0x11, &[0; 12]),
            (0x22, 0x11, &[0; 12]),
            (0x21, 0x13, &[0; 12]),
            (0x21, 0x41, &[0; 12]),
            (0x21, 0x11, &[0; 4081]),
        ] {
            assert_eq!(feed(&v2(command, family, rest)).0, Some(Err(Malformed)), "{rest:?}");
        }
    }

    proptest! {
        #[test]
        fn a_header_that_was_made_is_read_and_not_a_byte_more(
            ip: IpAddr, port: u16, text: bool, tlv: Vec<u8>, after: Vec<u8>,
        ) {
            let header = match (text, ip) {
                (true, IpAddr::V4(ip)) => format!("PROXY TCP4 {ip} {ip} {port} 1\r\n").into_bytes(),
                (true, IpAddr::V6(ip)) => format!("PROXY TCP6 {ip} {ip} {port} 1\r\n").into_bytes(),
                (false, IpAddr::V4(ip)) => {
                    let ip = ip.octets();
                    v2(0x21, 0x11, &[&ip[..], &ip, &port.to_be_bytes(), &[0, 1], &tlv].concat())
                }
                (false, IpAddr::V6(ip)) => {
                    let ip = ip.octets();
                    v2(0x21, 0x21, &[&ip[..], &ip, &port.to_be_bytes(), &[0, 1], &tlv].concat())
                }
            };
            let bytes = [&header[..], &after].concat();

            let expected = Origin::Client(SocketAddr::new(ip.to_canonical(), port));
            prop_assert_eq!(feed(&bytes), (Some(Ok(expected)), header.len()));
        }

        #[test]
        fn no_bytes_are_too_strange_and_none_are_asked_for_beyond_the_bound(
            start in prop::sample::select(vec![&b""[..], V1, V2, b"\r\n\r\n\0\r\nQUIT\n\x21\x11"]),
            rest: Vec<u8>,
        ) {
            feed(&[start, &rest].concat());
        }
    }
}
