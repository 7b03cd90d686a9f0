output "inventory" {
  description = "What `etcdlab up --inventory` takes: tofu output -json inventory."
  value = {
    apiVersion = "etcdlab.dev/v1alpha1"
    kind       = "Inventory"
    lab        = var.lab_name
    hosts = [
      for name, host in local.hosts : {
        name           = name
        address        = "127.0.0.1"
        privateAddress = host.private
        sshUser        = "root"
        # Known once the guest is there: made with it, before it first boots.
        sshHostKey = try(trimspace(file("${terraform_data.power[name].output.dir}/${name}/host_key.pub")), null)
        ports      = host.ports
        dataDevice = "/dev/vdb"
        labels     = merge(var.tags, { zone = host.zone })
      }
    ]
  }
}

output "ssh_key_file" {
  description = "Private key that logs in, where the module made one: the --ssh-key of etcdlab up."
  value       = var.ssh_public_key == null ? "${local.dir}/id_ed25519" : null
}
