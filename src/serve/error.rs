//! What can go wrong, in sentences for people.

use std::net::IpAddr;

/// An error of the layer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The computer's addresses cannot be found out.
    #[error("the addresses of this computer cannot be found out: {0}")]
    Addresses(std::io::Error),
    /// The computer is in no network.
    #[error(
        "this computer is in no network that a phone could be in; join the Wi-Fi of the phone, then try again"
    )]
    NoNetwork,
    /// An address of another computer, or of none.
    #[error("this computer has no address {address}; it has {}", listed(known))]
    NoSuchAddress {
        /// What was asked for.
        address: IpAddr,
        /// What there is.
        known: Vec<IpAddr>,
    },
    /// The system does not let the program listen there.
    #[error(
        "nothing can be served at {address}: {error}; choose another network, or allow Salamander in the firewall"
    )]
    Listen {
        /// The address.
        address: IpAddr,
        /// What the system said; part of the message, so not offered as a source again.
        error: std::io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for an address that nobody guesses ({0})")]
    Random(String),
    /// The address does not fit a QR code.
    #[error("the address cannot be shown as a QR code ({0})")]
    Qr(String),
}

fn listed(addresses: &[IpAddr]) -> String {
    let names: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    names.join(", ")
}
