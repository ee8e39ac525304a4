//! Errors of the server, as sentences for users.

use std::net::IpAddr;

/// An error of the server.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The computer's addresses cannot be determined.
    #[error("the addresses of this computer cannot be determined: {0}")]
    Addresses(std::io::Error),
    /// The computer is in no network.
    #[error(
        "this computer is not in a network that a phone can reach; join the phone's Wi-Fi and try again"
    )]
    NoNetwork,
    /// The address is not one of this computer's.
    #[error(
        "this computer does not have the address {address}; it has {}",
        listed(known)
    )]
    NoSuchAddress {
        /// The address.
        address: IpAddr,
        /// The addresses of this computer.
        known: Vec<IpAddr>,
    },
    /// The system does not allow the program to listen there.
    #[error(
        "cannot listen on {address}: {error}; choose another network, or allow Salamander in the firewall"
    )]
    Listen {
        /// The address.
        address: IpAddr,
        /// The system's error. It is part of the message, hence not a source.
        error: std::io::Error,
    },
    /// The system provides no random numbers.
    #[error("the system provides no random numbers for an unguessable address ({0}); try again")]
    Random(String),
    /// The address does not fit a QR code.
    #[error("the address cannot be shown as a QR code ({0})")]
    Qr(String),
}

fn listed(addresses: &[IpAddr]) -> String {
    let names: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    names.join(", ")
}
