// SPDX-License-Identifier: BSD-3-Clause

//! A reader on the crates of rust-netlink, written like the example of
//! netlink-packet-route (dump_packet_links.rs): compare-rust TABLE. It prints
//! the records' number and the checksum of their fields, which tally.go defines.

use netlink_packet_route::constants::{AF_INET, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST};
use netlink_packet_route::{nlas, rtnl, NetlinkMessage, NetlinkPayload, RtnlMessage};
use netlink_packet_route::{LinkMessage, NeighbourMessage, RouteMessage};
use netlink_sys::{protocols::NETLINK_ROUTE, Socket, SocketAddr};
use std::error::Error;

#[derive(Default)]
struct Tally {
    records: u64,
    sum: u64,
}

impl Tally {
    fn add(&mut self, words: [u64; 4]) {
        let mut h = 1u64;
        for w in words {
            h = (h ^ w).wrapping_mul(0x9e3779b97f4a7c15);
            h ^= h >> 32;
        }
        self.records += 1;
        self.sum = self.sum.wrapping_add(h);
    }
}

fn pack(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The number that bytes in network order are; 0 if they are not of that size.
fn big_endian(bytes: &[u8], size: usize) -> u64 {
    if bytes.len() != size {
        return 0;
    }
    bytes.iter().fold(0, |v, &b| v << 8 | u64::from(b))
}

fn route(r: &RouteMessage) -> [u64; 4] {
    use rtnl::route::nlas::Nla;
    let (mut dst, mut gateway, mut oif, mut table, mut priority) = (0, 0, 0, 0, 0);
    for nla in &r.nlas {
        match nla {
            Nla::Destination(v) => dst = big_endian(v, 4) as u32,
            Nla::Gateway(v) => gateway = big_endian(v, 4) as u32,
            Nla::Oif(v) => oif = *v,
            Nla::Table(v) => table = *v,
            Nla::Priority(v) => priority = *v,
            _ => {}
        }
    }
    let h = &r.header;
    let kinds = [h.destination_prefix_length, h.protocol, h.scope, h.kind];
    [pack(dst, gateway), pack(table, priority), pack(oif, u32::from_be_bytes(kinds)), 0]
}

fn neighbour(n: &NeighbourMessage) -> [u64; 4] {
    use rtnl::neighbour::nlas::Nla;
    let (mut dst, mut lladdr) = (0, 0);
    for nla in &n.nlas {
        match nla {
            Nla::Destination(v) => dst = big_endian(v, 4) as u32,
            Nla::LinkLocalAddress(v) => lladdr = big_endian(v, 6),
            _ => {}
        }
    }
    [pack(dst, n.header.ifindex), lladdr << 16 | u64::from(n.header.state), u64::from(n.header.flags), 0]
}

fn link(l: &LinkMessage) -> [u64; 4] {
    use nlas::link::Nla;
    let (mut mtu, mut address, mut name) = (0, 0, [0u8; 16]);
    for nla in &l.nlas {
        match nla {
            Nla::IfName(v) => name[..v.len()].copy_from_slice(v.as_bytes()),
            Nla::Mtu(v) => mtu = *v,
            Nla::Address(v) => address = big_endian(v, 6),
            _ => {}
        }
    }
    let name = u128::from_be_bytes(name);
    [pack(l.header.index, mtu), address, (name >> 64) as u64, name as u64]
}

fn request(table: &str) -> Option<RtnlMessage> {
    Some(match table {
        "routes" => {
            let mut m = RouteMessage::default();
            m.header.address_family = AF_INET as u8;
            RtnlMessage::GetRoute(m)
        }
        "neighbours" => {
            let mut m = NeighbourMessage::default();
            m.header.family = AF_INET as u8;
            RtnlMessage::GetNeighbour(m)
        }
        "links" => RtnlMessage::GetLink(LinkMessage::default()),
        _ => return None,
    })
}

fn dump(request: RtnlMessage) -> Result<Tally, Box<dyn Error>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;

    let mut m = NetlinkMessage::from(request);
    m.header.flags = NLM_F_DUMP | NLM_F_REQUEST;
    m.header.sequence_number = 1;
    m.finalize();
    let mut bytes = vec![0; m.buffer_len()];
    m.serialize(&mut bytes);
    socket.send(&bytes, 0)?;

    let mut sum = Tally::default();
    let mut page = Vec::with_capacity(32 << 10);
    loop {
        page.clear();
        socket.recv(&mut page, 0)?;
        let mut rest = &page[..];
        while !rest.is_empty() {
            let m = NetlinkMessage::<RtnlMessage>::deserialize(rest)?;
            if m.header.flags & NLM_F_DUMP_INTR != 0 {
                return Err("the dump was interrupted".into());
            }
            match &m.payload {
                NetlinkPayload::Done => return Ok(sum),
                NetlinkPayload::Error(e) => return Err(e.to_io().into()),
                NetlinkPayload::InnerMessage(RtnlMessage::NewRoute(r)) => sum.add(route(r)),
                NetlinkPayload::InnerMessage(RtnlMessage::NewNeighbour(n)) => sum.add(neighbour(n)),
                NetlinkPayload::InnerMessage(RtnlMessage::NewLink(l)) => sum.add(link(l)),
                other => return Err(format!("not a record: {:?}", other).into()),
            }
            let next = (m.header.length as usize + 3) & !3; // NLMSG_ALIGN
            rest = rest.get(next..).unwrap_or_default();
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let table = std::env::args().nth(1).unwrap_or_default();
    if table == "-V" {
        println!("compare-rust");
        return Ok(());
    }
    let request = request(&table).ok_or("usage: compare-rust routes|neighbours|links")?;
    let sum = dump(request)?;
    println!("{{\"records\": {}, \"sum\": {}}}", sum.records, sum.sum);
    Ok(())
}
