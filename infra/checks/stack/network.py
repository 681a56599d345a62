"""Who can reach whom: routes, network ACLs and security groups, evaluated as the network would.

A packet passes when the ACL of each subnet that it crosses and the security group at each end let it; ACLs know nothing of
connections, so answers are judged too, at the ports that clients of that kind connect from.
"""

import ipaddress

WORLD = "198.51.100.7"
LINUX_PORTS = (32768, 60999)
LOAD_BALANCER_PORTS = (1024, 65535)


def subnet_cidrs(system):
    return {name: body["Properties"]["CidrBlock"] for name, body in system.of_type("AWS::EC2::Subnet").items()}


def acl_of(system, subnet):
    (acl,) = [body["Properties"]["NetworkAclId"]["Ref"]
              for body in system.of_type("AWS::EC2::SubnetNetworkAclAssociation").values()
              if body["Properties"]["SubnetId"] == {"Ref": subnet}]
    return acl


def acl_lets(system, acl, egress, address, port):
    """Whether `acl` lets one TCP packet pass whose other end (outside the subnet) is `address`, to destination `port`."""
    rules = [body["Properties"] for body in system.of_type("AWS::EC2::NetworkAclEntry").values()
             if body["Properties"]["NetworkAclId"] == {"Ref": acl} and bool(body["Properties"].get("Egress")) == egress]
    for rule in sorted(rules, key=lambda rule: rule["RuleNumber"]):
        ports = rule.get("PortRange", {"From": 0, "To": 65535})
        if (int(rule["Protocol"]) in (-1, 6) and ipaddress.ip_address(address) in ipaddress.ip_network(rule["CidrBlock"])
                and int(ports["From"]) <= port <= int(ports["To"])):
            return rule["RuleAction"] == "allow"
    return False


def address_in(system, subnet):
    return str(ipaddress.ip_network(subnet_cidrs(system)[subnet])[10])


def acls_let(system, source, target, port, answers):
    """Whether a connection from `source` to `target` (a subnet's name, or None for the internet) passes all ACLs, there and
    back to each of the ports `answers` (first and last)."""
    def address(place):
        return address_in(system, place) if place else WORLD

    if source == target:
        return True
    for here, there, packet in ((source, target, port), *((target, source, answer) for answer in answers)):
        if here and not acl_lets(system, acl_of(system, here), True, address(there), packet):
            return False
        if there and not acl_lets(system, acl_of(system, there), False, address(here), packet):
            return False
    return True


def rules_of(system, group, kind):
    """The ingress or egress rules of a security group, those that stand as resources of their own as well."""
    rules = list(system.properties(group).get(f"SecurityGroup{kind}", []))
    rules += [body["Properties"] for body in system.of_type(f"AWS::EC2::SecurityGroup{kind}").values()
              if body["Properties"]["GroupId"] in ({"Ref": group}, {"Fn::GetAtt": [group, "GroupId"]})]
    return rules


def who_may_enter(system, group):
    """{(source, first port, last port)} for every way into a security group; a source is a group's name or a network."""
    ways = set()
    for rule in rules_of(system, group, "Ingress"):
        source = rule.get("SourceSecurityGroupId", rule.get("CidrIp", rule.get("CidrIpv6")))
        if isinstance(source, dict):
            source = source["Ref"] if "Ref" in source else source["Fn::GetAtt"][0]
        everything = str(rule["IpProtocol"]) == "-1"
        ways.add((source, 0 if everything else int(rule["FromPort"]), 65535 if everything else int(rule["ToPort"])))
    return ways


def where_may_go(system, group):
    """The same for the ways out."""
    ways = set()
    for rule in rules_of(system, group, "Egress"):
        target = rule.get("DestinationSecurityGroupId", rule.get("CidrIp"))
        if isinstance(target, dict):
            target = target["Ref"] if "Ref" in target else target["Fn::GetAtt"][0]
        everything = str(rule["IpProtocol"]) == "-1"
        ways.add((target, 0 if everything else int(rule["FromPort"]), 65535 if everything else int(rule["ToPort"])))
    return ways


def reaches_internet(system, subnet):
    """Whether any route leads out of a subnet's route table."""
    tables = [body["Properties"]["RouteTableId"] for body in system.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
              if body["Properties"]["SubnetId"] == {"Ref": subnet}]
    assert len(tables) == 1, f"{subnet} has {len(tables)} route tables of its own: with none the VPC's main table counts"
    return any(body["Properties"]["RouteTableId"] == tables[0] for body in system.of_type("AWS::EC2::Route").values())
