output "inventory" {
  description = "For etcdlab up --inventory."
  value       = module.lab.inventory
}

output "ssh_key_file" {
  description = "For etcdlab up --ssh-key."
  value       = module.lab.ssh_key_file
}
