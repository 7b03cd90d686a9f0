# QEMU guests on this machine, with nothing but terraform_data and the scripts
# beside it. Each resource's destroy provisioner undoes its create provisioner;
# that of the lab, which is in the state before anything is made, undoes all.

locals {
  slot    = coalesce(var.slot, parseint(substr(sha256(var.lab_name), 0, 8), 16) % 250)
  dir     = "${coalesce(var.state_dir, abspath("${path.root}/.etcdlab"))}/${var.lab_name}"
  machine = split("x", var.machine_type)

  hosts = {
    for i in range(var.members) : "m${i + 1}" => {
      private = "198.18.${local.slot}.${11 + i}"
      zone    = var.zones[i % length(var.zones)]
      ports = {
        ssh       = 20000 + 40 * local.slot + 4 * i
        agent     = 20000 + 40 * local.slot + 4 * i + 1
        client    = 20000 + 40 * local.slot + 4 * i + 2
        failpoint = 20000 + 40 * local.slot + 4 * i + 3
      }
      macs = {
        control = format("02:e2:c6:12:%02x:%02x", local.slot, 11 + i)
        private = format("02:e1:c6:12:%02x:%02x", local.slot, 11 + i)
      }
    }
  }
  guest_ports = { ssh = 22, agent = 2390, client = 2379, failpoint = 2381 }

  # How often a guest was started, kept by its own directory. A guest whose QEMU
  # is gone is to be started once more, which is a change that a plan shows.
  starts = { for name, host in local.hosts : name => try(tonumber(trimspace(file("${local.dir}/${name}/starts"))), 1) }
  runs   = { for name, host in local.hosts : name => try(strcontains(file("/proc/${trimspace(file("${local.dir}/${name}/qemu.pid"))}/cmdline"), "${local.dir}/${name}/qemu.pid"), false) }
}

resource "terraform_data" "lab" {
  input = { script = abspath("${path.module}/scripts/guest.sh"), dir = local.dir, lab = var.lab_name }

  # One of another name or place is another lab.
  triggers_replace = [local.dir]

  provisioner "local-exec" {
    command     = "mkdir -p -m 700 \"$LABDIR\""
    interpreter = ["/bin/sh", "-c"]
    environment = { LABDIR = self.input.dir }
  }

  provisioner "local-exec" {
    when        = destroy
    command     = "\"$SCRIPT\" end \"$LABDIR\" \"$LAB\""
    interpreter = ["/bin/sh", "-c"]
    environment = { SCRIPT = self.input.script, LABDIR = self.input.dir, LAB = self.input.lab }
  }
}

# Kept in the user's cache when the lab goes.
resource "terraform_data" "image" {
  input = var.image

  provisioner "local-exec" {
    command     = "\"$SCRIPT\" \"$IMAGE\""
    interpreter = ["/bin/sh", "-c"]
    environment = { SCRIPT = abspath("${path.module}/scripts/image.sh"), IMAGE = var.image }
  }
}

# A guest's disks and keys.
resource "terraform_data" "guest" {
  for_each = local.hosts

  input = { script = terraform_data.lab.input.script, dir = local.dir, lab = var.lab_name, name = each.key }

  triggers_replace = [terraform_data.lab.id, terraform_data.image.id, var.image, var.disk_type, var.disk_size_gb, var.ssh_public_key, var.members, local.slot]

  provisioner "local-exec" {
    command     = "\"$SCRIPT\" make \"$LABDIR\" \"$LAB\" \"$NAME\""
    interpreter = ["/bin/sh", "-c"]
    environment = {
      SCRIPT         = self.input.script
      LABDIR         = self.input.dir
      LAB            = self.input.lab
      NAME           = self.input.name
      IMAGE          = var.image
      DISK_TYPE      = var.disk_type
      DISK_GB        = var.disk_size_gb
      SSH_PUBLIC_KEY = var.ssh_public_key == null ? "" : var.ssh_public_key
      HOSTS          = join("\n", [for name, host in local.hosts : "${host.private} ${name}"])
    }
  }

  provisioner "local-exec" {
    when        = destroy
    command     = "\"$SCRIPT\" remove \"$LABDIR\" \"$LAB\" \"$NAME\""
    interpreter = ["/bin/sh", "-c"]
    environment = { SCRIPT = self.input.script, LABDIR = self.input.dir, LAB = self.input.lab, NAME = self.input.name }
  }
}

# A guest that runs. It may be replaced without its disks.
resource "terraform_data" "power" {
  for_each = local.hosts

  input = terraform_data.guest[each.key].input

  triggers_replace = {
    guest  = terraform_data.guest[each.key].id
    start  = local.runs[each.key] ? local.starts[each.key] : local.starts[each.key] + 1
    size   = var.machine_type
    opened = local.forward[each.key]
    ttl    = var.ttl_minutes
  }

  provisioner "local-exec" {
    command     = "\"$SCRIPT\" start \"$LABDIR\" \"$LAB\" \"$NAME\""
    interpreter = ["/bin/sh", "-c"]
    environment = {
      SCRIPT          = self.input.script
      LABDIR          = self.input.dir
      LAB             = self.input.lab
      NAME            = self.input.name
      START           = self.triggers_replace.start
      SLOT            = local.slot
      CPUS            = local.machine[0]
      MEMORY_MB       = local.machine[1]
      TTL_SECONDS     = var.ttl_minutes * 60
      FORWARD         = local.forward[each.key]
      CONTROL_MAC     = each.value.macs.control
      PRIVATE_MAC     = each.value.macs.private
      PRIVATE_ADDRESS = each.value.private
      PRIVATE_GROUP   = "239.198.18.${local.slot}:${30000 + local.slot}"
    }
  }

  provisioner "local-exec" {
    when        = destroy
    command     = "\"$SCRIPT\" stop \"$LABDIR\" \"$LAB\" \"$NAME\""
    interpreter = ["/bin/sh", "-c"]
    environment = { SCRIPT = self.input.script, LABDIR = self.input.dir, LAB = self.input.lab, NAME = self.input.name }
  }
}

locals {
  # PORT:GUESTPORT of what is let in: nothing where nobody is allowed.
  forward = { for name, host in local.hosts : name => length(var.allowed_cidrs) == 0 ? "" : join(" ", [for what, port in host.ports : "${port}:${local.guest_ports[what]}"]) }
}
