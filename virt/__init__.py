"""All of libvirt, and nothing of Django. The only room that imports `libvirt` and `lxml`.

How it is used: open a connection, give it to plain functions, get frozen values (`virt.types`) back.

    from virt import connection, domains, volumes
    with connection.connect("qemu:///system", timeout_s=10) as conn:
        for guest in domains.list_domains(conn): ...
        volumes.create_volume(conn, "store", VolumeXML(name="web-01-vda.qcow2", capacity_bytes=20 * 2**30))

Every call runs under a deadline of ours; one that passes raises HostTimeout and the connection is dead from then on
(`conn.is_alive`). A connection does one call at a time; what runs in parallel opens its own. Open after fork only.
Guests are named by uuid (str or UUID), pools, volumes and networks by name. What is done already is not an error: start, shutdown,
destroy, suspend, resume, pool and network start/stop return False when there was nothing to do.
Errors are `virt.errors.VirtError` (or `Invalid` for values refused before libvirt saw them).

errors       UserError(message, *, details="", field=None) .code .status; Invalid; VirtError and its kinds
types        the values that come back
connection   connect(uri, *, timeout_s=10) -> Connection; conn.uri .is_alive .is_local .close()
             conn.call(function, what, *, timeout_s=None): function(virConnect) on the connection's thread, errors mapped
events       EventFeed(conn, on_event): registers for all events; on_event(DomainEvent | NetworkEvent | PoolEvent |
             NodeDeviceEvent | ConnectionClosed) is called on the loop's thread and must return at once; .close()

domains      list_domains(conn) -> list[DomainInfo]              domain_info(conn, uuid) -> DomainInfo
             domain_states(conn) -> list[DomainStatus] (cheap)   domain_state(conn, uuid) -> DomainStatus
             find_domain(conn, name) -> DomainStatus | None      domain_xml(conn, uuid, *, live=False, secure=False) -> str
             define(conn, xml) -> uuid                           undefine(conn, uuid, *, keep_nvram, keep_tpm) -> bool
             set_autostart(conn, uuid, on)  rename(conn, uuid, name)
             set_memory(conn, uuid, memory_mib, *, live=False)   set_vcpus(conn, uuid, vcpus, *, live=False)
power        start(conn, uuid, *, paused=False) -> bool          shutdown(conn, uuid, *, by="auto"|"acpi"|"agent") -> bool
             reboot(conn, uuid, *, by="auto")  reset(conn, uuid)  destroy(conn, uuid) -> bool
             suspend(conn, uuid) -> bool  resume(conn, uuid) -> bool
             managed_save(conn, uuid) -> bool                    remove_managed_save(conn, uuid) -> bool
devices      attach_device/detach_device/update_device(conn, uuid, device_xml, *, live=None): live None = as the guest is
             change_media(conn, uuid, target, path | None), live and config, forced if the tray is locked
stats        domain_stats(conn, *, uuids=None, active_only=True) -> list[DomainStats]
             guest_addresses(conn, uuid) -> list[GuestAddress]
screen       screenshot(conn, uuid) -> PNG bytes   send_keys(conn, uuid, [names or codes], *, hold_ms=80)
graphics     open_graphics(uri, uuid) -> socket.socket            (opens and closes its own connection)
console      open_console(uri, uuid, *, device=None, force=True) -> Console .recv(size) .send(data) .close()

host         host_facts(conn) -> HostFacts       host_usage(conn, previous=None) -> HostUsage
             compat_sheet(conn, *, arch=None, machine="q35", domain_type="kvm") -> CompatSheet
kvm_probe    probe_kvm(conn, *, deadline_s=6) -> KvmProbe

pools        list_pools(conn) -> list[PoolInfo]  pool_info(conn, pool)  ensure_dir_pool(conn, name, path) -> PoolInfo
             start_pool(conn, pool) -> bool  stop_pool(conn, pool) -> bool  refresh_pool(conn, pool)
             set_pool_autostart(conn, pool, on)  delete_pool(conn, pool, *, delete_files=False) -> bool
volumes      list_volumes(conn, pool) -> list[VolumeInfo]  volume_info(conn, pool, name)  volume_by_path(conn, path)
             create_volume(conn, pool, VolumeXML, *, preallocation="none"|"metadata"|"full") -> VolumeInfo
             delete_volume(conn, pool, name) -> bool             resize_volume(conn, pool, name, *, capacity_bytes) -> int
             clone_volume(conn, pool, name, VolumeXML, *, to_pool=None) -> VolumeInfo      wipe_volume(conn, pool, name)
             guests_using(conn, path) -> list[DomainStatus]
transfer     read_range(conn, pool, name, offset, length) -> bytes
             download(conn, pool, name, *, offset=0, length=0) -> Iterator[bytes]
             upload(conn, pool, name, chunks, *, length, on_progress=None) -> int
networks     list_networks(conn) -> list[NetworkInfo]  network_info(conn, name)  leases(conn, name) -> list[Lease]
             start_network(conn, name) -> bool  stop_network(conn, name) -> bool  set_network_autostart(conn, name, on)
             ensure_default(conn) -> NetworkInfo
bridges      list_bridges(conn) -> list[BridgeInfo]

domain_summary  parse_domain(xml) -> DomainSummary
domain_xml   DomainXML(xml): properties that edit in place, .to_xml()
volume_xml   VolumeXML(name=, capacity_bytes=, format="qcow2", allocation_bytes=0, backing_path=, backing_format=).to_xml()
new_guest    GuestSpec(name=, os=OsTraits, vcpus=, memory_mib=, disks=(DiskSpec(path=, format=, is_block=), …), cdrom=path | None,
             nics=(NicSpec(network= | bridge=, mac=), …), domain_type=, firmware=, uuid=, title=, description=, kernel=…)
             guest_xml(spec, sheet) -> str: machine and arch are those of `sheet`, host.compat_sheet(conn, domain_type=…)
             default_firmware(os, sheet) -> str   mac_address() -> str   (disks are named by path: VolumeInfo.path)
device_xml   DiskSpec, NicSpec and their elements
osinfo       detect_media(header) -> OsMatch | None   list_os() -> list[OsChoice]   traits(os_id) -> OsTraits
iso9660      read_iso(read) -> IsoHeader | None, read(offset, length) -> bytes
validate     guest_name volume_name vcpus memory_mib disk_bytes mac uuid pool_name network_name: return the value or raise Invalid
"""
