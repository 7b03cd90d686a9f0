# Three QEMU guests on this machine: see README.md.

module "lab" {
  source = "../../local"

  lab_name      = var.lab_name
  members       = var.members
  machine_type  = var.machine_type
  disk_size_gb  = var.disk_size_gb
  allowed_cidrs = ["127.0.0.1/32"]
  ttl_minutes   = var.ttl_minutes
  slot          = var.slot
}
