//! The layers that a segment was carried in, between its link layer and its own IP header.

use std::fmt;
use std::net::IpAddr;

/// Layers inside one another that are followed; more is an attempt to hide. Then `Weird::TooDeep`.
pub(super) const MAX_LAYERS: usize = 16;

/// Outer IP headers that are followed. With the innermost it makes eight.
pub const MAX_OUTER: usize = 7;

/// One layer of encapsulation: its name, and the number that the network gave this one of its kind (VLAN, VNI, key, label).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layer {
    /// In lower case: `vlan`, `gre`, `vxlan`.
    pub name: &'static str,
    /// Absent where the layer has no number.
    pub id: Option<u32>,
}

impl Layer {
    /// A layer without a number.
    #[must_use]
    pub const fn plain(name: &'static str) -> Self {
        Self { name, id: None }
    }

    /// A layer with its number.
    #[must_use]
    pub const fn numbered(name: &'static str, id: u32) -> Self {
        Self { name, id: Some(id) }
    }
}

/// `gre`, `vxlan:42`.
impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        self.id.map_or(Ok(()), |id| write!(f, ":{id}"))
    }
}

/// The way through the layers of one frame, outermost first. Without allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encapsulation {
    layers: [Layer; MAX_LAYERS],
    outer: [(IpAddr, IpAddr); MAX_OUTER],
    mark: Mark,
}

/// A state of an `Encapsulation` to which it can be taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    layers: usize,
    outer: usize,
    realm: u64,
    way: u64,
}

/// No address: fills what is not in use.
const NOBODY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

impl Encapsulation {
    /// No layers.
    pub const NONE: Self = Self {
        layers: [Layer::plain(""); MAX_LAYERS],
        outer: [(NOBODY, NOBODY); MAX_OUTER],
        mark: Mark { layers: 0, outer: 0, realm: 0, way: 0 },
    };

    /// Adds a layer; false where there are too many.
    pub fn push(&mut self, layer: Layer) -> bool {
        let Some(free) = self.layers.get_mut(self.mark.layers) else { return false };
        *free = layer;
        self.mark.layers += 1;
        if self.mark.outer > 0 {
            // The link below the first IP header is not part of the way: two points of capture may differ in it.
            self.mark.way = mix(mix_text(self.mark.way, layer.name), number(layer));
        }
        true
    }

    /// Adds a layer whose number names a network of its own: equal addresses in two of them are different hosts.
    pub fn push_network(&mut self, layer: Layer) -> bool {
        let realm = mix(mix_text(self.mark.realm, layer.name), number(layer));
        let is_pushed = self.push(layer);
        self.mark.realm = realm.max(1);
        is_pushed
    }

    /// Adds the ends of an IP header that carries the next layer; false where there are too many.
    pub fn push_outer(&mut self, src: IpAddr, dst: IpAddr) -> bool {
        let Some(free) = self.outer.get_mut(self.mark.outer) else { return false };
        *free = (src, dst);
        self.mark.outer += 1;
        for ip in [src, dst] {
            let bits = match ip {
                IpAddr::V4(ip) => u128::from(ip.to_bits()),
                IpAddr::V6(ip) => ip.to_bits(),
            };
            self.mark.way = mix(mix(self.mark.way, low(bits >> 64)), low(bits));
        }
        true
    }

    /// Where it stands.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        self.mark
    }

    /// Takes back what was added since.
    pub const fn back_to(&mut self, mark: Mark) {
        self.mark = mark;
    }

    /// The layers, outermost first.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        self.layers.get(..self.mark.layers).unwrap_or_default()
    }

    /// Source and destination of the outer IP headers, outermost first.
    #[must_use]
    pub fn outer(&self) -> &[(IpAddr, IpAddr)] {
        self.outer.get(..self.mark.outer).unwrap_or_default()
    }

    /// The network in which the innermost addresses have their meaning: the same for both directions; 0 outside of networks
    /// that have a number.
    #[must_use]
    pub const fn realm(&self) -> u64 {
        self.mark.realm
    }

    /// The way in one direction, with the addresses of the tunnels; 0 outside of tunnels.
    #[must_use]
    pub const fn way(&self) -> u64 {
        self.mark.way
    }

    /// What is kept of it for a conn; nothing where there are no layers.
    #[must_use]
    pub fn carriage(&self) -> Option<Box<Carriage>> {
        (!self.layers().is_empty()).then(|| {
            Box::new(Carriage { layers: self.layers().into(), outer: self.outer().into() })
        })
    }
}

fn number(layer: Layer) -> u64 {
    layer.id.map_or(0, |id| u64::from(id) + 1)
}

fn mix_text(state: u64, text: &str) -> u64 {
    text.bytes().fold(state, |state, octet| mix(state, u64::from(octet)))
}

/// Folded multiplication: spreads, and is the same in every run.
fn mix(state: u64, word: u64) -> u64 {
    let product =
        u128::from(state.rotate_left(23) ^ word ^ 0x2545_f491_4f6c_dd1d) * 0x9e37_79b9_7f4a_7c15;
    low(product) ^ low(product >> 64)
}

fn low(bits: u128) -> u64 {
    u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default()
}

/// The layers that the first segment of a conn was carried in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carriage {
    /// Outermost first.
    pub layers: Box<[Layer]>,
    /// Source and destination of the outer IP headers, outermost first.
    pub outer: Box<[(IpAddr, IpAddr)]>,
}

/// `vlan:7/gre`.
impl fmt::Display for Carriage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, layer) in self.layers.iter().enumerate() {
            write!(f, "{}{layer}", if at > 0 { "/" } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbered_networks_make_a_realm_and_only_tunnels_a_way() {
        let ip = IpAddr::from([10, 0, 0, 1]);
        let mut path = Encapsulation::NONE;
        assert!(path.push(Layer::numbered("vlan", 7)));
        assert_eq!((path.realm(), path.way()), (0, 0));
        assert!(path.push_outer(ip, ip));
        let mark = path.mark();
        let mut realms = Vec::new();
        for layer in [Layer::plain("gre"), Layer::numbered("gre", 0), Layer::numbered("gre", 1)] {
            assert!(path.push(layer));
            assert_eq!(path.realm(), 0);
            realms.push(path.way());
            path.back_to(mark);
        }
        for layer in [Layer::numbered("vxlan", 0), Layer::numbered("vxlan", 1)] {
            assert!(path.push_network(layer));
            realms.push(path.realm());
            path.back_to(mark);
        }
        realms.push(0);
        realms.sort_unstable();
        realms.dedup();
        assert_eq!(realms.len(), 6, "all different");
        assert!(path.push_network(Layer::numbered("vxlan", 42)));
        assert_eq!(path.carriage().unwrap().to_string(), "vlan:7/vxlan:42");
    }

    #[test]
    fn there_is_an_end_to_layers() {
        let mut path = Encapsulation::NONE;
        assert!((0..MAX_LAYERS).all(|_| path.push(Layer::plain("gre"))));
        assert!(!path.push(Layer::plain("gre")));
        assert!((0..MAX_OUTER).all(|_| path.push_outer(NOBODY, NOBODY)));
        assert!(!path.push_outer(NOBODY, NOBODY));
        assert_eq!((path.layers().len(), path.outer().len()), (MAX_LAYERS, MAX_OUTER));
    }
}
