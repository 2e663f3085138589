"""All of libvirt, and nothing of Django. The only room that imports `libvirt` and `lxml`.

Open a connection, give it to plain functions, get frozen values (`virt.types`) back:

    from virt import connection, domain_reader, volumes
    with connection.connect("qemu:///system", timeout_s=10) as conn:
        for guest in domain_reader.list_domains(conn): ...
        volumes.create_volume(conn, "store", VolumeXML(name="web-01-vda.qcow2", capacity_bytes=20 * 2**30))

Every call runs under a deadline of ours; one that passes raises HostTimeout and the connection is dead from then on
(`conn.is_alive`). A connection does one call at a time; what runs in parallel opens its own. Open after fork only.
Guests are named by uuid (str or UUID), pools, volumes and networks by name. What is so already is not an error:
functions that start, stop or delete return False when there was nothing to do.
Errors are `virt.errors.VirtError`, or `Invalid` for values refused before libvirt saw them.

errors, libvirt_errors   what goes wrong, in sentences; what libvirt's own errors mean
types                    the values that come back: DomainInfo, PoolInfo, HostFacts, OsTraits …
validate, domain_guard   values and definitions that must not reach libvirt
connection, event_loop   connect(uri, timeout_s=) -> Connection: call(function, what, timeout_s=) is_alive close …
events, event_kinds      EventFeed(conn, on_event): typed events of guests, networks, pools and devices; .close()

domain_reader            list_domains; DomainReader(conn): .uuids .batches()
domains                  domain_info domain_states domain_state find_domain domain_xml
                         define undefine rename set_autostart set_memory set_vcpus
power                    start shutdown reboot reset destroy suspend resume managed_save remove_managed_save
devices                  attach_device detach_device update_device change_media
stats                    domain_stats guest_addresses
screen                   screenshot send_keys
graphics, console        open_graphics(uri, uuid) -> socket; open_console(uri, uuid) -> Console: recv send close

host                     host_facts host_usage compat_sheet
host_details             host_details(conn) -> HostDetails: NUMA, hugepages, CPU features, firmware, TPM
nodedev                  list_devices(conn) -> [NodeDevice]: PCI, USB, interfaces, disks, mediated devices
kvm_probe                probe_kvm(conn) -> KvmProbe
pools                    list_pools pool_info find_pool ensure_dir_pool start_pool stop_pool refresh_pool
                         set_pool_autostart delete_pool define_pool build_pool
pool_xml, pool_types     PoolSpec(name=, type=, …).to_xml(); pool_kinds find_sources
pool_reach               closed_on_the_way open_the_way: may QEMU enter the directories of a pool?
volumes                  list_volumes volume_info volume_by_path create_volume delete_volume resize_volume clone_volume
                         grow_open_volume wipe_volume guests_using
qcow2, image_check       headers and tables of images; check_image: refers it to files that it must not?
shrinking                check_shrink: may the end of a disk be cut off?
disk_users, disk_copy    disk_uses only_writer; copy_open_disk at_rest stop_copy: copies that can be watched and stopped
secrets, secret_xml      list_secrets find_secret define_secret set_value delete_secret for_a_moment guests_naming
                         SecretXML(uuid=, usage=, usage_id=).to_xml(): values go in and never come back
transfer                 read_range download upload
networks, bridges        list_networks network_info start_network stop_network set_network_autostart ensure_default
                         leases; list_bridges

new_guest                guest_xml(GuestSpec(...), compat_sheet) -> str; DiskSpec NicSpec DirectKernel default_firmware
                         mac_address. Disks are named by path: VolumeInfo.path
domain_xml, device_xml   DomainXML(xml): a definition edited in place
domain_summary           parse_domain(xml) -> DomainSummary
volume_xml               VolumeXML(name=, capacity_bytes=, format="qcow2", …)
osinfo                   detect_media(IsoHeader) -> OsMatch | None; list_os(); traits(os_id) -> OsTraits
iso9660                  read_iso(read) -> IsoHeader | None, where read(offset, length) -> bytes
"""
