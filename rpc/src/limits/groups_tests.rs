use super::*;

fn peer(ip: &str) -> Endpoint {
    Endpoint::tcp((ip.parse::<IpAddr>().unwrap(), 50_001).into())
}

#[test]
fn peers_of_one_network_are_one_group() {
    let (subnets, addresses) = (Groups::by_subnet(), Groups::by_address());
    for (one, other, same_subnet, same_address) in [
        ("192.0.2.1", "192.0.2.1", true, true),
        ("192.0.2.1", "::ffff:192.0.2.1", true, true),
        ("192.0.2.1", "192.0.2.2", true, false),
        ("192.0.2.1", "192.0.3.1", false, false),
        ("2001:db8::1", "2001:db8::2", true, false),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", false, false),
    ] {
        let [one, other] = [one, other].map(peer);
        assert_eq!(subnets.key(&one) == subnets.key(&other), same_subnet, "{one} and {other}");
        assert_eq!(addresses.key(&one) == addresses.key(&other), same_address, "{one} and {other}");
    }
}

#[test]
fn who_is_exempt_or_has_no_address_is_in_no_group() {
    let groups = Groups::by_subnet()
        .exempt("10.0.0.0/8".parse().unwrap())
        .exempt("::1".parse().unwrap())
        .exempt_if(|peer| peer.port() == Some(1));
    for ip in ["10.1.2.3", "::ffff:10.1.2.3", "::1"] {
        assert_eq!(groups.key(&peer(ip)), None, "{ip}");
    }
    assert_eq!(groups.key(&Endpoint::MEMORY), None);
    assert_eq!(groups.key(&Endpoint::tcp(([192, 0, 2, 1], 1).into())), None);
    assert!(groups.key(&peer("192.0.2.1")).is_some());
    let named = Groups::by(|_| Some(GroupKey::name("all")));
    assert_eq!(named.key(&Endpoint::MEMORY), Some(GroupKey::name("all")));
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn an_address_belongs_to_the_network_of_its_first_bits() {
    for (address, v4_bits, v6_bits, network) in [
        ("192.0.2.77", 24, 64, "192.0.2.0/24"),
        ("192.0.2.77", 32, 64, "192.0.2.77/32"),
        ("192.0.2.77", 0, 64, "0.0.0.0/0"),
        ("192.0.2.77", 20, 64, "192.0.0.0/20"), // 2 is 0000 0010: all of it after the first 4 bits
        ("::ffff:192.0.2.77", 24, 64, "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", 24, 64, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3:4:5:6", 24, 128, "2001:db8:1:2:3:4:5:6/128"),
        ("2001:db8:1:2:3:4:5:6", 24, 0, "::/0"),
        ("2001:db8:1:2:3:4:5:6", 99, 255, "2001:db8:1:2:3:4:5:6/128"),
    ] {
        assert_eq!(Network::of(ip(address), v4_bits, v6_bits).to_string(), network);
    }
}

#[test]
fn a_network_contains_what_begins_like_it_and_nothing_else() {
    for (network, inside, outside) in [
        ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
        ("0.0.0.0/0", "255.255.255.255", "::1"),
        ("::/0", "::1", "10.0.0.1"),
        ("::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
    ] {
        let network: Network = network.parse().unwrap();
        assert!(network.contains(ip(inside)), "{network}: {inside}");
        assert!(!network.contains(ip(outside)), "{network}: {outside}");
    }
}

#[test]
fn the_error_names_the_part_that_is_wrong() {
    for (text, reason) in [
        ("localhost/8", "`localhost` is no IP address"),
        ("10.0.0.0/33", "`33` is no number of bits between 0 and 32"),
        ("::/129", "`129` is no number of bits between 0 and 128"),
        ("10.0.0.0/", "`` is no number of bits"),
        ("2001:db8::1/32", "the first address of that size is 2001:db8::"),
    ] {
        let error = text.parse::<Network>().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
