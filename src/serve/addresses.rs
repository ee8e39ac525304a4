//! The addresses of this computer at which a phone may reach it.

use std::net::{IpAddr, Ipv4Addr};

use super::ServeError;

/// An address of this computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The system's name of the network interface: "wlan0".
    pub name: String,
    /// Its IPv4 address; every phone and router supports IPv4.
    pub address: IpAddr,
}

impl Interface {
    /// Whether it is reachable from this computer only.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.address.is_loopback()
    }
}

/// The addresses of this computer, the most likely ones for a phone first; loopback addresses last.
///
/// # Errors
/// [`ServeError::Addresses`] if the system does not list them.
pub fn interfaces() -> Result<Vec<Interface>, ServeError> {
    let found = if_addrs::get_if_addrs().map_err(ServeError::Addresses)?;
    let found = found.into_iter().map(|card| Interface {
        address: card.ip(),
        name: card.name,
    });
    Ok(ordered(found))
}

/// Checks that an address is one of this computer's.
///
/// # Errors
/// [`ServeError::NoSuchAddress`] if it is not.
pub fn check_address(address: IpAddr) -> Result<(), ServeError> {
    let known = interfaces()?;
    if known.iter().any(|interface| interface.address == address) {
        return Ok(());
    }
    Err(ServeError::NoSuchAddress {
        address,
        known: known.into_iter().map(|known| known.address).collect(),
    })
}

fn ordered(found: impl Iterator<Item = Interface>) -> Vec<Interface> {
    let mut usable: Vec<(u8, Interface)> = found
        .filter_map(|interface| {
            let IpAddr::V4(address) = interface.address else {
                return None;
            };
            Some((rank(&interface.name, address)?, interface))
        })
        .collect();
    usable.sort_by(|(a, first), (b, second)| (a, &first.name).cmp(&(b, &second.name)));
    usable.dedup_by(|(_, a), (_, b)| a.address == b.address);
    usable.into_iter().map(|(_, interface)| interface).collect()
}

/// A rank for the likelihood that a phone is in the network of an address, 0 most likely; `None` if it cannot be.
fn rank(name: &str, address: Ipv4Addr) -> Option<u8> {
    // Bridges of containers and virtual machines, and tunnels.
    let is_virtual = [
        "docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "tun", "tap", "utun", "wg",
    ]
    .iter()
    .any(|start| name.starts_with(start));
    if address.is_unspecified() || address.is_link_local() {
        None
    } else if address.is_loopback() {
        Some(4)
    } else if is_virtual {
        Some(3)
    } else if !address.is_private() {
        Some(2)
    } else if name.starts_with('w') {
        // Wi-Fi: wlan0, wlp3s0.
        Some(0)
    } else {
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn the_networks_of_phones_come_first() {
        let cards = [
            ("lo", "127.0.0.1"),
            ("docker0", "172.17.0.1"),
            ("eth0", "192.168.1.2"),
            ("eth0", "fe80::1"),
            ("eth1", "169.254.3.4"),
            ("tun0", "10.8.0.2"),
            ("wlp3s0", "192.168.178.30"),
            ("ppp0", "93.184.216.34"),
        ];
        let cards = cards.map(|(name, address)| Interface {
            name: name.to_owned(),
            address: address.parse().unwrap(),
        });
        let found = ordered(cards.into_iter());
        let names: Vec<&str> = found.iter().map(|card| card.name.as_str()).collect();
        assert_eq!(names, ["wlp3s0", "eth0", "ppp0", "docker0", "tun0", "lo"]);
        assert!(found[5].is_loopback());
    }

    #[test]
    fn this_computer_has_an_address() {
        assert!(interfaces().unwrap().iter().any(Interface::is_loopback));
    }
}
